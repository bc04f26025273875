// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	testingclock "k8s.io/utils/clock/testing"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/plugins"
)

const (
	provisioner = "csi.example.com"
	other       = "other.example.com"
)

var testEpoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// memory is what drivers and StorageNodes say, as a test sets it.
type memory struct {
	mu           sync.Mutex
	states       map[part]drivers.StorageState
	storageNodes map[part]plugins.StorageNode
	byDriver     []func(drivers.Change)
	byNode       []func(provisioner, node string)
}

func (m *memory) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (m *memory) HasSynced() bool               { return true }

func (m *memory) Locate(drivers.VolumeID) (drivers.Location, bool) { return drivers.Location{}, false }

func (m *memory) NodeReport(provisioner, node string) (drivers.NodeReport, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state, ok := m.states[part{provisioner, node}]
	return drivers.NodeReport{State: state}, ok
}

func (m *memory) Subscribe(changed func(drivers.Change)) { m.byDriver = append(m.byDriver, changed) }

// say changes a state and tells of it.
func (m *memory) say(p part, state drivers.StorageState) {
	m.mu.Lock()
	m.states[p] = state
	m.mu.Unlock()
	for _, changed := range m.byDriver {
		changed(drivers.Change{Provisioner: p.provisioner, Node: p.node})
	}
}

// nodesOf is the memory as StorageNodes.
type nodesOf struct{ *memory }

func (n nodesOf) Of(provisioner, node string) plugins.StorageNode {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.storageNodes[part{provisioner, node}]
}

func (n nodesOf) Subscribe(changed func(provisioner, node string)) {
	n.byNode = append(n.byNode, changed)
}

func (n nodesOf) say(p part, node plugins.StorageNode) {
	n.mu.Lock()
	n.storageNodes[p] = node
	n.mu.Unlock()
	for _, changed := range n.byNode {
		changed(p.provisioner, p.node)
	}
}

// handle is what the plugin needs of a framework.
type handle struct {
	fwk.Handle
	informers informers.SharedInformerFactory

	mu        sync.Mutex
	activated []string
}

func (h *handle) SharedInformerFactory() informers.SharedInformerFactory { return h.informers }

func (h *handle) Activate(_ klog.Logger, pods map[string]*corev1.Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.activated = append(h.activated, slices.Sorted(maps.Keys(pods))...)
}

func (h *handle) has(pods ...string) func() bool {
	return func() bool { h.mu.Lock(); defer h.mu.Unlock(); return slices.Equal(h.activated, pods) }
}

// world is what a fixture is made of.
type world struct {
	args *config.StorageHealthArgs
	// nodes are a, b and c where there are none.
	nodes        []string
	objects      []runtime.Object
	states       map[part]drivers.StorageState
	storageNodes map[part]plugins.StorageNode
}

// fixture is a plugin with the cluster and the storage that a test sets.
type fixture struct {
	t      testing.TB
	pl     *StorageHealth
	client *fake.Clientset
	handle *handle
	memory *memory
	clock  *testingclock.FakeClock
	nodes  []fwk.NodeInfo
}

func defaultArgs() *config.StorageHealthArgs {
	return &config.StorageHealthArgs{RequireRegistration: true, DegradedPenalty: 50, StorageDownPenalty: 75, SuspectPenalty: 40}
}

func newFixture(t testing.TB, w world) *fixture {
	t.Helper()
	f := &fixture{
		t: t, client: fake.NewClientset(w.objects...), clock: testingclock.NewFakeClock(testEpoch),
		memory: &memory{states: maps.Clone(w.states), storageNodes: maps.Clone(w.storageNodes)},
	}
	if f.memory.states == nil {
		f.memory.states = map[part]drivers.StorageState{}
	}
	if f.memory.storageNodes == nil {
		f.memory.storageNodes = map[part]plugins.StorageNode{}
	}
	if w.args == nil {
		w.args = defaultArgs()
	}
	if w.nodes == nil {
		w.nodes = []string{"a", "b", "c"}
	}
	for _, name := range w.nodes {
		info := framework.NewNodeInfo()
		info.SetNode(st.MakeNode().Name(name).Obj())
		f.nodes = append(f.nodes, info)
	}
	f.handle = &handle{informers: informers.NewSharedInformerFactory(f.client, 0)}
	registry := drivers.NewRegistry(f.clock, drivers.NewMetrics())
	err := registry.Add(drivers.Driver{Name: "memory", Provisioners: []string{provisioner, other}, Source: f.memory, Locator: f.memory, Health: f.memory})
	if err != nil {
		t.Fatalf("adding the driver: %v", err)
	}
	f.pl, err = New(t.Context(), w.args, f.handle, Sources{Registry: registry, StorageNodes: nodesOf{f.memory}, Clock: f.clock})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	f.handle.informers.Start(t.Context().Done())
	f.handle.informers.WaitForCacheSync(t.Context().Done())
	return f
}

// installed are the CSIDriver object of each driver, and CSINodes of a, b and c that list them all.
func installed(names ...string) []runtime.Object {
	var objects []runtime.Object
	for _, name := range names {
		objects = append(objects, &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, node := range []string{"a", "b", "c"} {
		objects = append(objects, csiNode(node, names...))
	}
	return objects
}

func csiNode(node string, names ...string) *storagev1.CSINode {
	object := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}}
	for _, name := range names {
		object.Spec.Drivers = append(object.Spec.Drivers, storagev1.CSINodeDriver{Name: name, NodeID: node})
	}
	return object
}

// bound is a claim and its volume.
func bound(claim string, pv *builders.PV) []runtime.Object {
	return []runtime.Object{builders.MakeClaim(claim).BoundTo(pv.Name).Obj(), pv.ClaimedBy(claim).Obj()}
}

// csi is a bound claim and its CSI volume.
func csi(claim, driver string) []runtime.Object {
	return bound(claim, builders.MakePV("pv-"+claim).CSI(driver, "handle-of-"+claim))
}

// unbound is a claim that waits for a node, and its class.
func unbound(claim, provisioner string, mode storagev1.VolumeBindingMode) []runtime.Object {
	class := builders.MakeClass("class-of-"+claim, mode)
	class.Provisioner = provisioner
	return []runtime.Object{builders.MakeClaim(claim).Class(class.Name).Obj(), class}
}

func newPod(name string, claims ...string) *corev1.Pod {
	pod := st.MakePod().Name(name).UID(name).Namespace(builders.Namespace)
	for _, claim := range claims {
		pod = pod.PVC(claim)
	}
	return pod.Obj()
}

// outcome is what the extension points say of a pod, in one attempt.
type outcome struct {
	// Skipped says that PreFilter is not concerned with the pod.
	Skipped bool
	// Rejected are the nodes that Filter rejects, and why.
	Rejected map[string]string
	// Scores are of all nodes in order, nil where PreScore has no opinion.
	Scores []int64
}

// attempt runs a pod from PreFilter to Score, which sees the nodes that Filter lets pass. A framework does not ask Filter
// about a pod that is skipped; here it is asked, and must let it pass.
func (f *fixture) attempt(pod *corev1.Pod) outcome {
	f.t.Helper()
	ctx, state := f.t.Context(), framework.NewCycleState()
	result, status := f.pl.PreFilter(ctx, state, pod, f.nodes)
	if !result.AllNodes() || !status.IsSuccess() && !status.IsSkip() {
		f.t.Fatalf("PreFilter: %v, %v, want all nodes", result, status)
	}
	got := outcome{Skipped: status.IsSkip()}
	var feasible []fwk.NodeInfo
	for _, info := range f.nodes {
		switch status := f.pl.Filter(ctx, state, pod, info); status.Code() {
		case fwk.Success:
			feasible = append(feasible, info)
		case fwk.UnschedulableAndUnresolvable:
			if got.Rejected == nil {
				got.Rejected = map[string]string{}
			}
			got.Rejected[info.Node().Name] = status.Message()
		default:
			f.t.Fatalf("Filter: %v", status)
		}
	}
	if f.pl.PreScore(ctx, state, pod, feasible).IsSkip() {
		return got
	}
	for _, info := range feasible {
		score, status := f.pl.Score(ctx, state, pod, info)
		if !status.IsSuccess() {
			f.t.Fatalf("Score: %v", status)
		}
		got.Scores = append(got.Scores, score)
	}
	return got
}

// waitUntil waits for what another goroutine does.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited in vain: %s", what)
	}
}
