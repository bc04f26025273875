// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/internal/mirror/mirrortest"
	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality"
	"roost.dev/roost/volumelocality/pools"
)

// later is the StorageClass of claims that are bound once their pod has a node, of the driver above; elsewhere of another one.
const later, elsewhere = "later", "elsewhere"

func laterClasses() []runtime.Object {
	other := builders.MakeClass(elsewhere, storagev1.VolumeBindingWaitForFirstConsumer)
	other.Provisioner = "other.example.com"
	return []runtime.Object{builders.MakeClass(later, storagev1.VolumeBindingWaitForFirstConsumer), other}
}

// made is an unbound claim whose volume will be made from something.
func made(name, class, kind, source string) *corev1.PersistentVolumeClaim {
	claim := builders.MakeClaim(name).Class(class).Obj()
	claim.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: kind, Name: source}
	if kind == "VolumeSnapshot" {
		claim.Spec.DataSourceRef.APIGroup = ptr.To(snapshotv1.GroupName)
	}
	return claim
}

// snapshotOfData is a VolumeSnapshot of the volume "handle-of-data".
func snapshotOfData(t *testing.T, f *fixture) {
	t.Helper()
	api := mirrortest.New()
	api.Write(&snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "backup"},
		Status:     &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: ptr.To("content")},
	})
	content := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: "content"}}
	content.Spec.Driver, content.Spec.Source.VolumeHandle = provisioner, ptr.To("handle-of-data")
	api.Write(content)
	f.snapshots.Follow(t.Context(), api, testingclock.NewFakeClock(testEpoch))
}

var sourceTests = map[string]struct {
	claim    *corev1.PersistentVolumeClaim
	location *drivers.Location
	policy   string
	args     func(*config.VolumeLocalityArgs)
	want     outcome
}{
	"a clone goes to its source's data": {
		claim: made("new", later, "PersistentVolumeClaim", "data"), want: outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"a restore goes to the data of the snapshot's volume": {
		claim: made("new", later, "VolumeSnapshot", "backup"), want: outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"Required means Preferred: there is no data yet": {
		claim: made("new", later, "PersistentVolumeClaim", "data"), policy: "Required",
		want: outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"Avoid does not count":   {claim: made("new", later, "PersistentVolumeClaim", "data"), policy: "Avoid", want: outcome{Code: fwk.Skip}},
	"Ignored does not count": {claim: made("new", later, "PersistentVolumeClaim", "data"), policy: "Ignored", want: outcome{Code: fwk.Skip}},
	"the source's attachment does not count, nor that it is pinned": {
		claim:    made("new", later, "PersistentVolumeClaim", "data"),
		location: &drivers.Location{Replicas: []drivers.Replica{{Node: "a1", State: drivers.InSync}}, AttachedTo: []string{"c1"}, Pinned: true},
		want:     outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"of another driver":                  {claim: made("new", elsewhere, "PersistentVolumeClaim", "data"), want: outcome{Code: fwk.Skip}},
	"from a claim that does not exist":   {claim: made("new", later, "PersistentVolumeClaim", "gone"), want: outcome{Code: fwk.Skip}},
	"from a claim that is not bound":     {claim: made("new", later, "PersistentVolumeClaim", "new"), want: outcome{Code: fwk.Skip}},
	"from a snapshot that is not known":  {claim: made("new", later, "VolumeSnapshot", "gone"), want: outcome{Code: fwk.Skip}},
	"from something else":                {claim: made("new", later, "Populator", "data"), want: outcome{Code: fwk.Skip}},
	"from nothing":                       {claim: builders.MakeClaim("new").Class(later).Obj(), want: outcome{Code: fwk.Skip}},
	"bound by now, it counts for itself": {claim: made("data", later, "VolumeSnapshot", "gone"), want: outcome{Code: fwk.Skip}},
	"from a volume that is nowhere known": {
		claim: made("new", later, "PersistentVolumeClaim", "log"), policy: "Required", want: outcome{Code: fwk.Skip},
	},
	"by capacity": {
		claim: made("new", later, "PersistentVolumeClaim", "data"), args: func(args *config.VolumeLocalityArgs) {
			args.VolumeWeighting = config.VolumeWeightingCapacity
		},
		want: outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
}

func TestClaimsThatAreMadeFromOthers(t *testing.T) {
	for name, tc := range sourceTests {
		t.Run(name, func(t *testing.T) {
			objects := append(laterClasses(), tc.claim)
			if tc.claim.Name != "data" {
				objects = append(objects, claimAndPV("data")...)
			}
			objects = append(objects, claimAndPV("log")...)
			driver := &memory{locations: map[string]drivers.Location{"handle-of-data": inSync("a1")}}
			if tc.location != nil {
				driver.locations["handle-of-data"] = *tc.location
			}
			args := defaultArgs()
			if tc.args != nil {
				tc.args(args)
			}
			f := newFixture(t, world{args: args, nodes: sixNodes(), objects: objects, driver: driver})
			snapshotOfData(t, f)
			pod := podUsing(tc.claim.Name)
			if tc.policy != "" {
				annotated(pod, tc.policy)
			}
			got, _ := f.attempt(pod)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
		})
	}
}

// What is made from a volume that is pinned to its nodes is made anywhere.
func TestASourceThatIsPinnedBoundsNothing(t *testing.T) {
	pinned := inSync("a1")
	pinned.Pinned = true
	objects := append(append(laterClasses(), made("new", later, "PersistentVolumeClaim", "data")), claimAndPV("data")...)
	f := newFixture(t, world{nodes: sixNodes(), objects: objects, driver: &memory{locations: map[string]drivers.Location{"handle-of-data": pinned}}})
	pod := podUsing("new")
	f.pl.levels.set(pod.UID, volumelocality.LevelAll)
	if got, _ := f.attempt(pod); got.Nodes != nil || !slices.Equal(got.Allowed, everyNode) {
		t.Errorf("the last attempt is over %v, want all nodes", got.Nodes)
	}
}

// driverThatTellsRoom and the pools of two nodes, with 2 GiB each.
func driverThatTellsRoom() []runtime.Object {
	objects := append(laterClasses(), &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: provisioner}, Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)},
	})
	for _, node := range []string{"a1", "a2"} {
		objects = append(objects, poolOf(node, "2Gi"))
	}
	return objects
}

func poolOf(node, size string) *storagev1.CSIStorageCapacity {
	return &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{Namespace: "csi", Name: "pool-" + node}, StorageClassName: later,
		NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelHostname: node}},
		Capacity:     ptr.To(resource.MustParse(size)),
	}
}

// labelled are two nodes with their hostnames.
func labelled() []*corev1.Node {
	nodes := sixNodes()[:2]
	for _, node := range nodes {
		node.Labels[corev1.LabelHostname] = node.Name
	}
	return nodes
}

// newRoomFixture has two nodes with a pool each, and unbound claims of 1 GiB.
func newRoomFixture(t testing.TB, claims []string, more ...runtime.Object) *fixture {
	t.Helper()
	objects := append(driverThatTellsRoom(), more...)
	for _, name := range claims {
		objects = append(objects, builders.MakeClaim(name).Class(later).Obj())
	}
	return newFixture(t, world{nodes: labelled(), objects: objects, driver: &memory{}})
}

func podNamed(name string, claims ...string) *corev1.Pod {
	pod := podUsing(claims...)
	pod.Name, pod.UID = name, types.UID(name)
	return pod
}

func TestRoomForClaimsTogether(t *testing.T) {
	onBoth := []string{"a1", "a2"}
	for name, tc := range map[string]struct {
		more    []runtime.Object
		claims  []string
		want    []string
		skipped bool
	}{
		"two fit":                              {claims: []string{"x", "y"}, want: onBoth},
		"three do not":                         {claims: []string{"x", "y", "z"}},
		"one claim in two volumes counts once": {claims: []string{"x", "y", "y"}, want: onBoth},
		"what names a node already counts there": {
			more:   []runtime.Object{builders.MakeClaim("theirs").Class(later).Annotation(storagehelpers.AnnSelectedNode, "a1").Obj()},
			claims: []string{"x", "y"}, want: []string{"a2"},
		},
		"a volume that is there may be bound": {
			more:   []runtime.Object{static("pv", "1Gi")},
			claims: []string{"x", "y", "z"}, want: onBoth, skipped: true,
		},
		"one that is too small may not": {more: []runtime.Object{static("pv", "1Mi")}, claims: []string{"x", "y", "z"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newRoomFixture(t, []string{"x", "y", "z"}, tc.more...)
			waitUntil(t, f.pools.HasSynced)
			got, _ := f.attempt(podUsing(tc.claims...))
			if tc.skipped != (got.Code == fwk.Skip) {
				t.Fatalf("PreFilter says %s, want it skipped: %t", got.Code, tc.skipped)
			}
			if diff := cmp.Diff(tc.want, got.Allowed); diff != "" && !tc.skipped {
				t.Errorf("nodes with room (-want +got):\n%s", diff)
			}
		})
	}
}

// static is a PersistentVolume that nobody has claimed.
func static(name, size string) *corev1.PersistentVolume {
	pv := builders.MakePV(name).CSI(provisioner, name).Capacity(size).Obj()
	pv.Spec.StorageClassName = later
	return pv
}

func TestADriverThatTellsNoRoomIsNotAskedForIt(t *testing.T) {
	for name, change := range map[string]func(*storagev1.CSIDriver){
		"no":             func(d *storagev1.CSIDriver) { d.Spec.StorageCapacity = ptr.To(false) },
		"nothing said":   func(d *storagev1.CSIDriver) { d.Spec.StorageCapacity = nil },
		"no such driver": func(d *storagev1.CSIDriver) { d.Name = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			objects := driverThatTellsRoom()
			change(objects[2].(*storagev1.CSIDriver))
			for _, claim := range []string{"x", "y", "z"} {
				objects = append(objects, builders.MakeClaim(claim).Class(later).Obj())
			}
			f := newFixture(t, world{nodes: labelled(), objects: objects, driver: &memory{}})
			if got, _ := f.attempt(podUsing("x", "y", "z")); got.Code != fwk.Skip {
				t.Errorf("PreFilter says %s, want Skip", got.Code)
			}
		})
	}
}

func TestAPodWithTwoHundredClaims(t *testing.T) {
	var claims []string
	for i := range 200 {
		claims = append(claims, fmt.Sprintf("claim-%d", i))
	}
	f := newRoomFixture(t, claims)
	pod := podUsing(claims...)
	if got, _ := f.attempt(pod); got.Allowed != nil {
		t.Errorf("200 claims are allowed on %v, want nowhere", got.Allowed)
	}
	f.write(t, poolOf("a2", "200Gi"))
	waitUntil(t, func() bool { got, _ := f.attempt(pod); return slices.Equal(got.Allowed, []string{"a2"}) })
	_, state := f.attempt(pod)
	if status := f.pl.Reserve(t.Context(), state, pod, "a2"); !status.IsSuccess() {
		t.Fatalf("Reserve: %v", status)
	}
	f.pl.Unreserve(t.Context(), state, pod, "a2")
	if got, _ := f.attempt(pod); !slices.Equal(got.Allowed, []string{"a2"}) {
		t.Errorf("after Unreserve the claims are allowed on %v, want a2", got.Allowed)
	}
}

// write updates a pool's object.
func (f *fixture) write(t *testing.T, object *storagev1.CSIStorageCapacity) {
	t.Helper()
	if _, err := f.client.StorageV1().CSIStorageCapacities("csi").Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatalf("writing the pool: %v", err)
	}
}

func TestReserveKeepsRoomFromOtherPods(t *testing.T) {
	f := newRoomFixture(t, []string{"w", "x", "y", "z"})
	first, second, third := podNamed("first", "w", "x"), podNamed("second", "y"), podNamed("third", "z")
	ctx := t.Context()
	_, firstState := f.attempt(first)
	_, secondState := f.attempt(second)
	if status := f.pl.Reserve(ctx, firstState, first, "a1"); !status.IsSuccess() {
		t.Fatalf("Reserve: %v", status)
	}
	status := f.pl.Reserve(ctx, secondState, second, "a1")
	if diff := cmp.Diff(fwk.NewStatus(fwk.Unschedulable, ErrReasonNoRoom), status); diff != "" {
		t.Errorf("Reserve of what is promised (-want +got):\n%s", diff)
	}
	if got, _ := f.attempt(third); !slices.Equal(got.Allowed, []string{"a2"}) {
		t.Errorf("another pod is allowed on %v, want a2", got.Allowed)
	}
	f.pl.Unreserve(ctx, firstState, first, "a1")
	if got, _ := f.attempt(third); !slices.Equal(got.Allowed, []string{"a1", "a2"}) {
		t.Errorf("after Unreserve the pod is allowed on %v, want both", got.Allowed)
	}
}

func TestAPodComesBackWhenThereIsRoom(t *testing.T) {
	for name, makeRoom := range map[string]func(t *testing.T, f *fixture, holder *corev1.Pod, state fwk.CycleState){
		"the pod that had it is put back": func(t *testing.T, f *fixture, holder *corev1.Pod, state fwk.CycleState) {
			f.pl.Unreserve(t.Context(), state, holder, "a1")
		},
		"the pool grows": func(t *testing.T, f *fixture, _ *corev1.Pod, _ fwk.CycleState) { f.write(t, poolOf("a2", "9Gi")) },
		"the claim that had it is deleted": func(t *testing.T, f *fixture, _ *corev1.Pod, _ fwk.CycleState) {
			if err := f.client.CoreV1().PersistentVolumeClaims(builders.Namespace).Delete(t.Context(), "w", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newRoomFixture(t, []string{"w", "x", "y", "z"})
			holder, waiter := podNamed("holder", "w"), podNamed("waiter", "x", "y")
			f.createPods(t, waiter)
			_, state := f.attempt(holder)
			if status := f.pl.Reserve(t.Context(), state, holder, "a1"); !status.IsSuccess() {
				t.Fatalf("Reserve: %v", status)
			}
			if got, _ := f.attempt(waiter); !slices.Equal(got.Allowed, []string{"a2"}) {
				t.Fatalf("the pod is allowed on %v, want a2", got.Allowed)
			}
			f.activator.take()
			makeRoom(t, f, holder, state)
			waitUntil(t, func() bool { return slices.Contains(f.activator.take(), "waiter") })
		})
	}
}

func TestPodsThatWaitForRoomAreForgotten(t *testing.T) {
	f := newRoomFixture(t, []string{"x", "y", "z"})
	pod := podNamed("pod", "x", "y", "z")
	waiting := func() int {
		f.pl.roomless.mu.Lock()
		defer f.pl.roomless.mu.Unlock()
		return len(f.pl.roomless.byUID)
	}
	f.attempt(pod)
	if waiting() != 0 {
		t.Error("a pod waits that was deleted during its cycle")
	}
	f.createPods(t, pod)
	_, state := f.attempt(pod)
	if waiting() != 1 {
		t.Fatalf("%d pods wait, want 1", waiting())
	}
	f.write(t, poolOf("a1", "3Gi"))
	waitUntil(t, func() bool { got, _ := f.attempt(pod); return len(got.Allowed) == 1 })
	if status := f.pl.Reserve(t.Context(), state, pod, "a1"); !status.IsSuccess() {
		t.Fatalf("Reserve: %v", status)
	}
	if waiting() != 0 {
		t.Error("a pod waits that has its room")
	}
	f.pl.Unreserve(t.Context(), state, pod, "a1")
	f.attempt(pod)
	if err := f.client.CoreV1().Pods(builders.Namespace).Delete(t.Context(), "pod", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return waiting() == 0 })
}

func (f *fixture) createPods(t *testing.T, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		if _, err := f.client.CoreV1().Pods(builders.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatalf("creating a pod: %v", err)
		}
		waitUntil(t, func() bool { _, err := f.pl.pods.Pods(builders.Namespace).Get(pod.Name); return err == nil })
	}
}

// The claim's class goes between Reserve and the binding, and somebody else binds the other claim.
func TestWhatGoesWrongBetweenReserveAndTheBinding(t *testing.T) {
	f := newRoomFixture(t, []string{"x", "y"})
	pod, ctx := podNamed("pod", "x", "y"), t.Context()
	_, state := f.attempt(pod)
	if status := f.pl.Reserve(ctx, state, pod, "a1"); !status.IsSuccess() {
		t.Fatalf("Reserve: %v", status)
	}
	room := func(want bool) func() bool {
		return func() bool {
			r := f.pools.Memory().Request(later, []pools.Claim{{UID: "new", Bytes: 2 << 30}})
			return r.Fits(map[string]string{corev1.LabelHostname: "a1"}) == want
		}
	}
	if !room(false)() {
		t.Fatal("nothing was promised")
	}
	foreign := builders.MakeClaim("y").Class(later).BoundTo("pv").Obj()
	if _, err := f.client.CoreV1().PersistentVolumeClaims(builders.Namespace).Update(ctx, foreign, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.client.StorageV1().StorageClasses().Delete(ctx, later, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { got, _ := f.attempt(pod); return got.Code == fwk.Skip })
	f.pl.Unreserve(ctx, state, pod, "a1")
	waitUntil(t, room(true))
}

// notRead are pools whose informers have not begun.
func notRead(t *testing.T, f *fixture) *plugins.Pools {
	t.Helper()
	unread := plugins.NewPools(f.clock)
	handle := unstarted{Handle: f.pl.handle, factory: informers.NewSharedInformerFactory(f.client, 0)}
	if err := unread.Start(t.Context(), handle); err != nil {
		t.Fatal(err)
	}
	return unread
}

// unstarted is a handle before the scheduler starts its informers.
type unstarted struct {
	fwk.Handle
	factory informers.SharedInformerFactory
}

func (h unstarted) SharedInformerFactory() informers.SharedInformerFactory { return h.factory }

func TestPoolsThatHaveNotBeenReadAreAnError(t *testing.T) {
	f := newRoomFixture(t, []string{"x"})
	f.pl.pools = notRead(t, f)
	_, status := f.pl.PreFilter(t.Context(), framework.NewCycleState(), podUsing("x"), f.nodes)
	if status.Code() != fwk.Error || status.AsError().Error() != errPoolsNotRead.Error() {
		t.Errorf("PreFilter: %v, want %v", status, errPoolsNotRead)
	}
	if got, _ := f.attempt(podUsing()); got.Code != fwk.Skip {
		t.Errorf("a pod without claims: %s, want Skip", got.Code)
	}
}

var capacityEventTests = map[string]struct {
	pod           *corev1.Pod
	before, after *storagev1.CSIStorageCapacity
	want          fwk.QueueingHint
}{
	"a pool comes":             {pod: podUsing("x"), after: poolOf("a1", "1Gi"), want: fwk.Queue},
	"a pool grows":             {pod: podUsing("x"), before: poolOf("a1", "1Gi"), after: poolOf("a1", "2Gi"), want: fwk.Queue},
	"a pool shrinks":           {pod: podUsing("x"), before: poolOf("a1", "2Gi"), after: poolOf("a1", "1Gi")},
	"a pool of another class":  {pod: podUsing("x"), after: anotherClass(poolOf("a1", "1Gi"))},
	"the pod's claim is bound": {pod: podUsing("data"), after: poolOf("a1", "1Gi")},
	"a pod without claims":     {pod: podUsing(), after: poolOf("a1", "1Gi")},
}

func anotherClass(object *storagev1.CSIStorageCapacity) *storagev1.CSIStorageCapacity {
	object.StorageClassName = elsewhere
	return object
}

func TestAfterCapacity(t *testing.T) {
	f := newRoomFixture(t, []string{"x"}, claimAndPV("data")...)
	for name, tc := range capacityEventTests {
		t.Run(name, func(t *testing.T) {
			var before any
			if tc.before != nil {
				before = tc.before
			}
			got, err := f.pl.afterCapacity(klog.Background(), tc.pod, before, tc.after)
			if err != nil || got != tc.want {
				t.Errorf("afterCapacity = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	if got, err := f.pl.afterCapacity(klog.Background(), podUsing("x"), nil, &corev1.Pod{}); err == nil || got != fwk.Queue {
		t.Errorf("an object of another kind: %v, %v, want Queue and an error", got, err)
	}
}

func BenchmarkFilterWithPools(b *testing.B) {
	f := newRoomFixture(b, []string{"x", "y"})
	pod, ctx, state := podUsing("x", "y"), b.Context(), framework.NewCycleState()
	if _, status := f.pl.PreFilter(ctx, state, pod, f.nodes); !status.IsSuccess() {
		b.Fatalf("PreFilter: %v", status)
	}
	b.Run("PreFilter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.pl.PreFilter(ctx, framework.NewCycleState(), pod, f.nodes)
		}
	})
	b.Run("Filter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.pl.Filter(ctx, state, pod, f.nodes[0])
		}
	})
}

func TestFilterWithPoolsAllocatesNothing(t *testing.T) {
	f := newRoomFixture(t, []string{"x", "y"})
	_, state := f.attempt(podUsing("x", "y"))
	pod := podUsing("x", "y")
	if allocs := testing.AllocsPerRun(100, func() { f.pl.Filter(t.Context(), state, pod, f.nodes[0]) }); allocs != 0 {
		t.Errorf("Filter allocates %.0f times, want 0", allocs)
	}
}
