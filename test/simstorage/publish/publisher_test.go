// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
)

const (
	gib       = int64(1) << 30
	heartbeat = 20 * time.Second
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// harness is a publisher of a model with the storage nodes n1 and n2 and the other node n3, on a fake API server.
type harness struct {
	client client.Client
	model  *cluster.Cluster
	clock  *clocktesting.FakeClock
	// fault, when set, is returned by every request. crdsMissing makes every request fail as if the kinds were unknown.
	mu          sync.Mutex
	fault       error
	crdsMissing bool
	writes      int
	refused     int
}

func newHarness(t *testing.T, existing ...client.Object) *harness {
	t.Helper()
	h := &harness{clock: clocktesting.NewFakeClock(start)}
	model, err := cluster.New(cluster.Options{Clock: h.clock, PoolCapacity: 100 * gib})
	if err != nil {
		t.Fatal(err)
	}
	h.model = model
	for name, storage := range map[string]bool{"n1": true, "n2": true, "n3": false} {
		model.SetNode(name, map[string]string{corev1.LabelHostname: name}, storage)
	}
	scheme := runtime.NewScheme()
	if err := storagev1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	h.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(existing...).
		WithStatusSubresource(&storagev1alpha1.VolumeTopology{}, &storagev1alpha1.StorageReport{}).
		WithInterceptorFuncs(h.interceptors()).Build()
	return h
}

func (h *harness) fail(list client.ObjectList) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.crdsMissing {
		h.refused++
		return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: storagev1alpha1.GroupVersion.Group}}
	}
	if list == nil {
		h.writes++
	}
	return h.fault
}

func (h *harness) interceptors() interceptor.Funcs {
	return interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if ctx.Value(observer{}) == nil {
				if err := h.fail(list); err != nil {
					return err
				}
			}
			return c.List(ctx, list, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := h.fail(nil); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
			if err := h.fail(nil); err != nil {
				return err
			}
			return c.SubResource(sub).Update(ctx, object, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := h.fail(nil); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	}
}

// observer marks the context of the test's own requests, which never fail.
type observer struct{}

func (h *harness) setFault(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = err
}

func (h *harness) setCRDsMissing(missing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crdsMissing = missing
}

func (h *harness) writeCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writes
}

func (h *harness) refusedCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused
}

func (h *harness) run(t *testing.T) {
	t.Helper()
	p, err := New(Options{Client: h.client, Cluster: h.model, Clock: h.clock, Heartbeat: heartbeat})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func (h *harness) volume(t *testing.T, name string) cluster.Volume {
	t.Helper()
	v, err := h.model.CreateVolume(cluster.VolumeRequest{
		Name: name, RequiredBytes: gib, Class: cluster.Class{Replicas: 2, Access: cluster.AccessAny},
		Requirement: cluster.Requirement{Preferred: []cluster.Segments{{corev1.LabelHostname: "n1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// published is what the API server has: topologies as "handle: node=state… @attached", reports as "node: state message".
func (h *harness) published(t *testing.T) map[string]string {
	t.Helper()
	ctx := context.WithValue(t.Context(), observer{}, true)
	got := map[string]string{}
	var topologies storagev1alpha1.VolumeTopologyList
	var reports storagev1alpha1.StorageReportList
	if err := errors.Join(h.client.List(ctx, &topologies), h.client.List(ctx, &reports)); err != nil {
		t.Fatal(err)
	}
	for _, topology := range topologies.Items {
		var words []string
		for _, replica := range topology.Status.Replicas {
			words = append(words, fmt.Sprintf("%s=%s", replica.NodeName, replica.State))
		}
		got[topology.Name] = strings.Join(append(words, topology.Spec.Provisioner, topology.Spec.VolumeHandle, fmt.Sprint(topology.Status.AttachedNodes)), " ")
	}
	for _, report := range reports.Items {
		got[report.Name] = fmt.Sprintf("%s %s: %s %q", report.Spec.Provisioner, report.Spec.NodeName, report.Status.State, report.Status.Message)
	}
	return got
}

func (h *harness) heartbeats(t *testing.T) map[string]time.Time {
	t.Helper()
	var reports storagev1alpha1.StorageReportList
	if err := h.client.List(context.WithValue(t.Context(), observer{}, true), &reports); err != nil {
		t.Fatal(err)
	}
	got := map[string]time.Time{}
	for _, report := range reports.Items {
		got[report.Spec.NodeName] = report.Status.HeartbeatTime.UTC()
	}
	return got
}

func (h *harness) wantPublished(t *testing.T, want map[string]string) {
	t.Helper()
	diff := ""
	eventually(t, func() bool {
		diff = cmp.Diff(want, h.published(t))
		return diff == ""
	}, func() string { return "published (-want +got):\n" + diff })
}

func eventually(t *testing.T, condition func() bool, explain func() string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatal(explain())
	}
}

func topologyOf(v cluster.Volume, attached string) string {
	return fmt.Sprintf("n1=InSync n2=InSync sim.roost.dev %s %s", v.Handle, attached)
}

func reports() map[string]string {
	return map[string]string{
		"sim.roost.dev-n1": `sim.roost.dev n1: Online ""`,
		"sim.roost.dev-n2": `sim.roost.dev n2: Online ""`,
	}
}

func with(want map[string]string, name, value string) map[string]string {
	want[name] = value
	return want
}

func TestPublishesTheModel(t *testing.T) {
	h := newHarness(t)
	early := h.volume(t, "before the start")
	h.run(t)
	want := with(reports(), ObjectName(early.Handle), topologyOf(early, "[]"))
	h.wantPublished(t, want)

	late := h.volume(t, "after the start")
	want = with(want, ObjectName(late.Handle), topologyOf(late, "[]"))
	h.wantPublished(t, want)

	must(t, h.model.AttachVolume(cluster.Attach{Handle: late.Handle, Node: "n3", Sharing: cluster.SingleNode}))
	want = with(want, ObjectName(late.Handle), topologyOf(late, "[n3]"))
	h.wantPublished(t, want)

	must(t, h.model.DetachVolume(late.Handle, "n3"))
	must(t, h.model.SetReplicaState(late.Handle, "n2", storagev1alpha1.ReplicaStale))
	want = with(want, ObjectName(late.Handle), fmt.Sprintf("n1=InSync n2=Stale sim.roost.dev %s []", late.Handle))
	h.wantPublished(t, want)

	must(t, h.model.DeleteVolume(late.Handle))
	delete(want, ObjectName(late.Handle))
	h.wantPublished(t, want)

	must(t, h.model.SetNodeState("n2", storagev1alpha1.StorageDown, "disk gone"))
	want = with(want, "sim.roost.dev-n2", `sim.roost.dev n2: StorageDown "disk gone"`)
	h.wantPublished(t, want)
	must(t, h.model.SetNodeState("n2", storagev1alpha1.StorageOnline, ""))
	want = with(want, "sim.roost.dev-n2", `sim.roost.dev n2: Online ""`)
	h.wantPublished(t, want)

	h.model.RemoveNode("n2")
	delete(want, "sim.roost.dev-n2")
	h.wantPublished(t, want)
}

func TestHeartbeats(t *testing.T) {
	h := newHarness(t)
	h.run(t)
	h.wantHeartbeats(t, map[string]time.Time{"n1": start, "n2": start})

	h.clock.Step(time.Second)
	must(t, h.model.SetNodeState("n1", storagev1alpha1.StorageDegraded, ""))
	h.wantHeartbeats(t, map[string]time.Time{"n1": start.Add(time.Second), "n2": start}) // at once

	eventually(t, h.clock.HasWaiters, func() string { return "no renewal is queued" })
	h.clock.Step(heartbeat)
	now := h.clock.Now()
	h.wantHeartbeats(t, map[string]time.Time{"n1": now, "n2": now})
}

func (h *harness) wantHeartbeats(t *testing.T, want map[string]time.Time) {
	t.Helper()
	diff := ""
	eventually(t, func() bool {
		diff = cmp.Diff(want, h.heartbeats(t))
		return diff == ""
	}, func() string { return "heartbeats (-want +got):\n" + diff })
}

func TestHeartbeatsSpreadOut(t *testing.T) {
	p := &Publisher{heartbeat: heartbeat}
	seconds := map[time.Duration]int{}
	for i := range 300 {
		period := p.period(fmt.Sprint("node-", i))
		if period < heartbeat*3/4 || period > heartbeat {
			t.Fatalf("period = %s, want between %s and %s", period, heartbeat*3/4, heartbeat)
		}
		seconds[period.Truncate(time.Second)]++
	}
	for second, count := range seconds {
		if count > 120 { // 300 nodes over 5 seconds are 60 a second
			t.Errorf("%d of 300 renewals fall into second %s", count, second)
		}
	}
}

func TestCutOffNodeIsReportedAsOffline(t *testing.T) {
	h := newHarness(t)
	h.run(t)
	h.wantHeartbeats(t, map[string]time.Time{"n1": start, "n2": start})
	h.clock.Step(time.Second)
	must(t, h.model.SetNodeState("n1", storagev1alpha1.StorageDegraded, "a disk is slow"))
	must(t, h.model.SetCutOff("n1", true))
	cutOff := with(reports(), "sim.roost.dev-n1", `sim.roost.dev n1: Offline "n1 is cut off: the other nodes do not hear from it"`)
	h.wantPublished(t, cutOff)
	h.wantHeartbeats(t, map[string]time.Time{"n1": start.Add(time.Second), "n2": start}) // at once

	eventually(t, h.clock.HasWaiters, func() string { return "no renewal is queued" })
	h.clock.Step(heartbeat)
	h.wantHeartbeats(t, map[string]time.Time{"n1": h.clock.Now(), "n2": h.clock.Now()})
	h.wantPublished(t, cutOff)

	must(t, h.model.SetCutOff("n1", false))
	h.wantPublished(t, with(reports(), "sim.roost.dev-n1", `sim.roost.dev n1: Degraded "a disk is slow"`))
}

func TestPublishesFences(t *testing.T) {
	h := newHarness(t)
	v := h.volume(t, "v")
	must(t, h.model.AttachVolume(cluster.Attach{Handle: v.Handle, Node: "n1", Sharing: cluster.SingleNode}))
	h.run(t)
	fenced := func() []string {
		var topology storagev1alpha1.VolumeTopology
		ctx := context.WithValue(t.Context(), observer{}, true)
		if err := h.client.Get(ctx, client.ObjectKey{Name: ObjectName(v.Handle)}, &topology); err != nil {
			return []string{err.Error()}
		}
		return topology.Status.FencedNodes
	}
	wantFenced := func(want []string) {
		t.Helper()
		diff := ""
		eventually(t, func() bool {
			diff = cmp.Diff(want, fenced())
			return diff == ""
		}, func() string { return "fenced nodes (-want +got):\n" + diff })
	}
	wantFenced(nil)
	must(t, h.model.SetCutOff("n1", true))
	wantFenced([]string{"n1"})
	must(t, h.model.DetachVolume(v.Handle, "n1"))
	must(t, h.model.SetCutOff("n1", false))
	wantFenced(nil)
}

func TestSilentPublisherCatchesUp(t *testing.T) {
	h := newHarness(t)
	gone := h.volume(t, "deleted meanwhile")
	h.run(t)
	h.wantPublished(t, with(reports(), ObjectName(gone.Handle), topologyOf(gone, "[]")))
	h.model.SetPublisher(true)
	must(t, h.model.DeleteVolume(gone.Handle))
	created := h.volume(t, "created meanwhile")
	must(t, h.model.SetNodeState("n1", storagev1alpha1.StorageDown, ""))
	h.clock.Step(heartbeat)
	h.model.SetPublisher(false)
	want := with(reports(), "sim.roost.dev-n1", `sim.roost.dev n1: StorageDown ""`)
	h.wantPublished(t, with(want, ObjectName(created.Handle), topologyOf(created, "[]")))
}

func TestSilentPublisherWritesNothing(t *testing.T) {
	h := newHarness(t)
	p, err := New(Options{Client: h.client, Cluster: h.model, Clock: h.clock, Heartbeat: heartbeat})
	must(t, err)
	h.model.SetPublisher(true)
	h.volume(t, "v")
	p.queue.Add(cluster.Event{Kind: cluster.NodeChanged, ID: "n1"})
	p.queue.Add(cluster.Event{Kind: cluster.PublisherResumed})
	for p.queue.Len() > 0 {
		p.next(t.Context())
	}
	if got := h.writeCount(); got != 0 {
		t.Errorf("%d writes while silent, want 0", got)
	}
	if diff := cmp.Diff(map[string]string{}, h.published(t)); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

func TestCRDsThatAppearLater(t *testing.T) {
	h := newHarness(t)
	h.setCRDsMissing(true)
	h.run(t)
	polled := func(times int) {
		t.Helper()
		waits := func() bool { return h.refusedCount() >= times && h.clock.HasWaiters() }
		eventually(t, waits, func() string { return "the publisher does not wait for the CRDs" })
	}
	polled(1)
	v := h.volume(t, "made while the CRDs are missing")
	h.clock.Step(crdPollInterval)
	polled(2)
	// One request a poll, and not one for every volume and node as well.
	if got := h.refusedCount(); got != 2 {
		t.Errorf("%d requests after 2 polls", got)
	}
	if diff := cmp.Diff(map[string]string{}, h.published(t)); diff != "" {
		t.Errorf("published without CRDs (-want +got):\n%s", diff)
	}
	h.setCRDsMissing(false)
	h.clock.Step(crdPollInterval)
	h.wantPublished(t, with(reports(), ObjectName(v.Handle), topologyOf(v, "[]")))
}

func TestFailedWritesAreRepeated(t *testing.T) {
	h := newHarness(t)
	h.run(t)
	h.wantPublished(t, reports())
	h.setFault(errors.New("the API server is away"))
	before := h.writeCount()
	v := h.volume(t, "v")
	eventually(t, func() bool { return h.writeCount() > before }, func() string { return "no write was tried" })
	h.setFault(nil)
	eventually(t, func() bool {
		h.clock.Step(retryMax)
		return len(h.published(t)) == 3
	}, func() string { return "the volume was never published" })
	h.wantPublished(t, with(reports(), ObjectName(v.Handle), topologyOf(v, "[]")))
}

func TestSweepAtTheStart(t *testing.T) {
	ours := storagev1alpha1.VolumeTopologySpec{Provisioner: "sim.roost.dev", VolumeHandle: "vol-000000000000"}
	theirs := storagev1alpha1.VolumeTopologySpec{Provisioner: "other.example.com", VolumeHandle: "vol-000000000000"}
	h := newHarness(t,
		&storagev1alpha1.VolumeTopology{ObjectMeta: metav1.ObjectMeta{Name: ObjectName("vol-000000000000")}, Spec: ours},
		&storagev1alpha1.VolumeTopology{ObjectMeta: metav1.ObjectMeta{Name: "odd-name"}, Spec: ours},
		&storagev1alpha1.VolumeTopology{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Spec: theirs},
		&storagev1alpha1.StorageReport{
			ObjectMeta: metav1.ObjectMeta{Name: ObjectName("gone")}, Spec: storagev1alpha1.StorageReportSpec{Provisioner: "sim.roost.dev", NodeName: "gone"},
		},
		&storagev1alpha1.StorageReport{
			ObjectMeta: metav1.ObjectMeta{Name: "odd-report"}, Spec: storagev1alpha1.StorageReportSpec{Provisioner: "sim.roost.dev", NodeName: "n1"},
		},
		&storagev1alpha1.StorageReport{
			ObjectMeta: metav1.ObjectMeta{Name: "their-report"}, Spec: storagev1alpha1.StorageReportSpec{Provisioner: "other.example.com", NodeName: "n1"},
		},
	)
	h.run(t)
	want := with(reports(), "theirs", "other.example.com vol-000000000000 []")
	h.wantPublished(t, with(want, "their-report", `other.example.com n1:  ""`))
}

func TestNoWriteWhenNothingDiffers(t *testing.T) {
	h := newHarness(t)
	v := h.volume(t, "v")
	p, err := New(Options{Client: h.client, Cluster: h.model, Clock: h.clock, Heartbeat: heartbeat})
	must(t, err)
	must(t, p.syncVolume(t.Context(), v.Handle))
	before := h.writeCount()
	must(t, p.syncVolume(t.Context(), v.Handle))
	if got := h.writeCount() - before; got != 0 {
		t.Errorf("%d writes for a topology that is as it should be, want 0", got)
	}
}

func TestNewRefusesABadHeartbeat(t *testing.T) {
	for _, bad := range []time.Duration{0, -time.Second, time.Minute + 1} {
		h := newHarness(t)
		_, err := New(Options{Client: h.client, Cluster: h.model, Clock: h.clock, Heartbeat: bad})
		if err == nil || !strings.Contains(err.Error(), "heartbeat") || !strings.Contains(err.Error(), bad.String()) {
			t.Errorf("heartbeat %s: error = %v", bad, err)
		}
	}
}

func TestObjectName(t *testing.T) {
	long := strings.Repeat("n", 250)
	for name, tc := range map[string]struct{ id, want string }{
		"a short one is kept":                {"vol-0123456789ab", "sim.roost.dev-vol-0123456789ab"},
		"one that just fits is kept":         {strings.Repeat("n", 239), "sim.roost.dev-" + strings.Repeat("n", 239)},
		"a dotted one is cut to a valid one": {strings.Repeat("n", 228) + ".b" + long, ""},
		"a long one is cut":                  {long, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ObjectName(tc.id)
			if tc.want != "" && got != tc.want {
				t.Errorf("name = %q, want %q", got, tc.want)
			}
			if problems := validation.IsDNS1123Subdomain(got); len(problems) > 0 {
				t.Errorf("name %q: %v", got, problems)
			}
		})
	}
	if ObjectName(long+"1") == ObjectName(long+"2") {
		t.Error("two long ids that differ at the end have one name")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
