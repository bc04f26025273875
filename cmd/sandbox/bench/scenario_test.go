// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/timeline"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/mirror/mirrortest"
	"roost.dev/roost/internal/sandbox"
)

var errRefused = errors.New("refused")

// recordedFault notes what is asked of it, and lets one of that fail.
type recordedFault struct {
	fails string
	asked []string
	// injected is what the fault leads to.
	injected func()
}

func (f *recordedFault) ask(what string) error {
	f.asked = append(f.asked, what)
	if what == f.fails {
		return errRefused
	}
	return nil
}

func (f *recordedFault) prepare(context.Context, victim) error { return f.ask("prepare") }
func (f *recordedFault) heal(context.Context, victim) error    { return f.ask("heal") }
func (f *recordedFault) inject(context.Context, victim) error {
	if f.injected != nil {
		f.injected()
	}
	return f.ask("inject")
}

// rig is a benchmark with a pod on node a, whose volume has copies on nodes a and b.
type rig struct {
	*bench
	pods *group
	api  *mirrortest.API
}

func newRig(t *testing.T) *rig {
	pod := newPod("a")
	pod.Namespace, pod.Labels = roostNamespace, map[string]string{"app": workload.Name}
	ready := corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}
	topology := &storagev1alpha1.VolumeTopology{
		ObjectMeta: metav1.ObjectMeta{Name: "topology"},
		Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: sandbox.Provisioner, VolumeHandle: "vol-1"},
	}
	var nodes []client.Object
	api := mirrortest.New()
	for _, name := range []string{"a", "b"} {
		nodes = append(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: ready})
		topology.Status.Replicas = append(topology.Status.Replicas, storagev1alpha1.VolumeReplica{NodeName: name, State: storagev1alpha1.ReplicaInSync})
		api.Write(&storagev1alpha1.StorageNode{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       storagev1alpha1.StorageNodeSpec{Provisioner: sandbox.Provisioner, NodeName: name},
			Status:     storagev1alpha1.StorageNodeStatus{State: storagev1alpha1.HealthHealthy},
		})
	}
	api.Write(&pod)
	api.Write(attachment("a"))
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(storagev1alpha1.AddToScheme(scheme))
	stored := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&pod, topology,
		&corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: roostNamespace, Name: "data-db-0"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv"},
		},
		&corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv"},
			Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: sandbox.Provisioner, VolumeHandle: "vol-1"},
			}},
		}).WithObjects(nodes...).Build()
	r := &rig{bench: newBench(Options{}), api: api, pods: &group{
		Workload: workload.Workload{Client: stored, Namespace: roostNamespace},
		recorder: timeline.New(timeline.Options{Client: api, Clock: clock.RealClock{}, Namespace: roostNamespace}),
	}}
	r.box = &sandbox.Sandbox{Client: stored}
	if err := r.pods.recorder.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func attachment(node string) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "csi-" + node},
		Spec: storagev1.VolumeAttachmentSpec{
			NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("pv")},
		},
		Status: storagev1.VolumeAttachmentStatus{Attached: true},
	}
}

// successor makes the pod run on node b.
func (r *rig) successor() {
	pod := newPod("b", func(p *corev1.Pod) { p.UID = "2" })
	r.api.Write(&pod)
	r.api.Write(attachment("b"))
}

func TestFail(t *testing.T) {
	for name, tc := range map[string]struct {
		fails     string
		successor bool
		wantAsked []string
		wantRan   bool
	}{
		"heals when the pod runs again":   {successor: true, wantAsked: []string{"prepare", "inject", "heal"}, wantRan: true},
		"heals when the pod runs nowhere": {wantAsked: []string{"prepare", "inject", "heal"}},
		"ends with what is not prepared":  {fails: "prepare", wantAsked: []string{"prepare"}},
		"ends with what is not caused":    {fails: "inject", wantAsked: []string{"prepare", "inject"}},
		"ends with what is not healed":    {fails: "heal", successor: true, wantAsked: []string{"prepare", "inject", "heal"}, wantRan: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			f := &recordedFault{fails: tc.fails}
			if tc.successor {
				f.injected = r.successor
			}
			watched := 200 * time.Millisecond
			if tc.wantRan {
				watched = time.Minute
			}
			got, err := r.fail(t.Context(), scenario{pods: r.pods, fault: f, watched: watched}, draw{})
			if wantErr := tc.fails != ""; errors.Is(err, errRefused) != wantErr || (err != nil) != wantErr {
				t.Errorf("error is %v, want that of the fault: %t", err, wantErr)
			}
			if diff := cmp.Diff(tc.wantAsked, f.asked); diff != "" {
				t.Errorf("asked of the fault (-want +got):\n%s", diff)
			}
			if _, ran := got.Since(timeline.Running); ran != tc.wantRan {
				t.Errorf("the pod ran again: %t, want %t", ran, tc.wantRan)
			}
			if r.taken.Len() > 0 {
				t.Errorf("nodes %v are taken in the end, want none", r.taken.UnsortedList())
			}
		})
	}
}

func TestANodeIsTakenOnce(t *testing.T) {
	r := newRig(t)
	v, err := r.take(t.Context(), r.pods, 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, v.nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	soon, cancel := context.WithTimeout(t.Context(), 2*pollEvery)
	defer cancel()
	if again, err := r.take(soon, r.pods, 7); err == nil {
		t.Errorf("%s was taken a second time, want a wait", again.Pod)
	}
	r.release(v)
	if _, err := r.take(t.Context(), r.pods, 7); err != nil {
		t.Errorf("taking it again after its release: %v", err)
	}
}
