// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/mirror/mirrortest"
)

const provisioner = "sim.example.com"

var (
	faultTime = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	failure   = Failure{Pod: "db-0", UID: "old", Node: "a", Volume: "pv", Provisioner: provisioner, At: faultTime}
)

// rig is a recorder of a world in which pod db-0 runs on node a.
type rig struct {
	api      *mirrortest.API
	clock    *clocktesting.FakeClock
	recorder *Recorder
}

func newRig(t *testing.T) *rig {
	r := &rig{api: mirrortest.New(), clock: clocktesting.NewFakeClock(faultTime)}
	for _, object := range []client.Object{
		pod("old", "a", corev1.PodRunning), attachment("a", true),
		storageNode("a", storagev1alpha1.HealthHealthy), storageNode("b", storagev1alpha1.HealthHealthy),
	} {
		r.api.Write(object)
	}
	r.recorder = New(Options{Client: r.api, Clock: r.clock, Namespace: "default"})
	if err := r.recorder.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func pod(uid types.UID, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db-0", UID: uid},
		Spec:       corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase},
	}
}

func terminating(pod *corev1.Pod) *corev1.Pod {
	pod.DeletionTimestamp = &metav1.Time{Time: faultTime}
	return pod
}

func attachment(node string, attached bool) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "csi-" + node},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: provisioner, NodeName: node,
			Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("pv")},
		},
		Status: storagev1.VolumeAttachmentStatus{Attached: attached},
	}
}

func storageNode(node string, state storagev1alpha1.HealthState) *storagev1alpha1.StorageNode {
	return &storagev1alpha1.StorageNode{
		ObjectMeta: metav1.ObjectMeta{Name: provisioner + "." + node},
		Spec:       storagev1alpha1.StorageNodeSpec{Provisioner: provisioner, NodeName: node},
		Status:     storagev1alpha1.StorageNodeStatus{State: state},
	}
}

// seconds are the moments that have come, in seconds since the fault.
func seconds(t *Timeline) map[Moment]float64 {
	found := map[Moment]float64{}
	for m := range moments {
		if since, ok := t.Since(m); ok {
			found[m] = since.Seconds()
		}
	}
	return found
}

// eventually waits until the timeline is as wanted; the watch tells of changes a little later than they are made.
func eventually(t *testing.T, f *Followed, want map[Moment]float64) {
	t.Helper()
	var got map[Moment]float64
	_ = wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
		timeline := f.Timeline()
		got = seconds(&timeline)
		return cmp.Equal(want, got), nil
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("moments (-want +got):\n%s", diff)
	}
}

func TestMomentsOfAFailover(t *testing.T) {
	r := newRig(t)
	f, err := r.recorder.Follow(failure)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Moment]float64{Fault: 0}
	eventually(t, f, want)
	for _, step := range []struct {
		change func()
		comes  []Moment
	}{
		{change: func() { r.api.Write(storageNode("b", storagev1alpha1.HealthUnhealthy)) }},
		{change: func() { r.api.Write(storageNode("a", storagev1alpha1.HealthSuspect)) }},
		{change: func() { r.api.Write(storageNode("a", storagev1alpha1.HealthUnhealthy)) }, comes: []Moment{Verdict}},
		{change: func() { r.api.Write(terminating(pod("old", "a", corev1.PodRunning))) }, comes: []Moment{Evicted}},
		{change: func() { r.api.Write(storageNode("a", storagev1alpha1.HealthFailedOver)) }},
		{change: func() { r.api.Remove(pod("old", "a", corev1.PodRunning)) }, comes: []Moment{Gone}},
		{change: func() { r.api.Write(pod("new", "", corev1.PodPending)) }},
		{change: func() { r.api.Remove(attachment("a", true)) }, comes: []Moment{Detached}},
		{change: func() { r.api.Write(pod("new", "b", corev1.PodPending)) }, comes: []Moment{Bound}},
		{change: func() { r.api.Write(attachment("b", false)) }},
		{change: func() { r.api.Write(pod("new", "b", corev1.PodRunning)) }, comes: []Moment{Started}},
		{change: func() { r.api.Write(attachment("b", true)) }, comes: []Moment{Running}},
	} {
		r.clock.Step(time.Second)
		step.change()
		for _, m := range step.comes {
			want[m] = r.clock.Since(faultTime).Seconds()
		}
		eventually(t, f, want)
	}
	if got := f.Wait(t.Context()); got.NewNode != "b" {
		t.Errorf("the new pod's node is %q, want b", got.NewNode)
	}
}

func TestAPodThatIsRemovedByForceIsEvictedAndGoneAtOnce(t *testing.T) {
	r := newRig(t)
	f, err := r.recorder.Follow(failure)
	if err != nil {
		t.Fatal(err)
	}
	r.clock.Step(time.Second)
	r.api.Remove(attachment("a", true))
	eventually(t, f, map[Moment]float64{Fault: 0, Detached: 1})
	r.clock.Step(time.Second)
	r.api.Write(pod("new", "b", corev1.PodPending))
	eventually(t, f, map[Moment]float64{Fault: 0, Detached: 1, Evicted: 2, Gone: 2, Bound: 2})
}

func TestWaitEndsWithoutAFailover(t *testing.T) {
	r := newRig(t)
	f, err := r.recorder.Follow(failure)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := f.Wait(ctx)
	if diff := cmp.Diff(map[Moment]float64{Fault: 0}, seconds(&got)); diff != "" {
		t.Errorf("moments (-want +got):\n%s", diff)
	}
	if len(r.recorder.followed) != 0 {
		t.Error("it is followed after Wait, want it forgotten")
	}
}

func TestFollowRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		failure Failure
		before  func(*rig)
		want    string
	}{
		"a pod that was made anew":      {failure: Failure{Pod: "db-0", UID: "other", Node: "a", Volume: "pv"}, want: "pod db-0 with UID other is not on node a"},
		"a pod that is elsewhere":       {failure: Failure{Pod: "db-0", UID: "old", Node: "b", Volume: "pv"}, want: "is not on node b"},
		"a pod that is not":             {failure: Failure{Pod: "db-1", UID: "old", Node: "a", Volume: "pv"}, want: "pod db-1"},
		"a volume that is not attached": {failure: Failure{Pod: "db-0", UID: "old", Node: "a", Volume: "other"}, want: "volume other of pod db-0 is not attached to node a"},
		"a node that has failed":        {failure: failure, before: (*rig).fail, want: "the storage of node a has failed already"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if tc.before != nil {
				tc.before(r)
				wantState(t, r.recorder, storagev1alpha1.HealthUnhealthy)
			}
			if _, err := r.recorder.Follow(tc.failure); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Follow() = %v, want an error that contains %q", err, tc.want)
			}
		})
	}
}

func (r *rig) fail() { r.api.Write(storageNode("a", storagev1alpha1.HealthUnhealthy)) }

func wantState(t *testing.T, r *Recorder, want storagev1alpha1.HealthState) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
		return r.State(provisioner, "a") == want, nil
	})
	if err != nil {
		t.Fatalf("the state is %q, want %q", r.State(provisioner, "a"), want)
	}
}
