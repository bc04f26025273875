// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultbinder"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/queuesort"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	tf "k8s.io/kubernetes/pkg/scheduler/testing/framework"
	testingclock "k8s.io/utils/clock/testing"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/plugins"
)

const provisioner = "csi.example.com"

// memory is a driver whose answers a test sets.
type memory struct {
	locations map[string]drivers.Location
	states    map[string]drivers.StorageState
	told      []func(drivers.Change)
}

func (m *memory) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (m *memory) HasSynced() bool               { return true }

func (m *memory) Subscribe(changed func(drivers.Change)) { m.told = append(m.told, changed) }

// say tells of a change that the test has made.
func (m *memory) say(c drivers.Change) {
	for _, changed := range m.told {
		changed(c)
	}
}

func (m *memory) Locate(id drivers.VolumeID) (drivers.Location, bool) {
	location, ok := m.locations[id.Handle]
	return location, ok && id.Provisioner == provisioner
}

func (m *memory) NodeReport(_, node string) (drivers.NodeReport, bool) {
	state, ok := m.states[node]
	return drivers.NodeReport{State: state}, ok
}

// activator records the pods that a plugin brings back to the queue.
type activator struct {
	mu        sync.Mutex
	activated []string
}

func (a *activator) Activate(_ klog.Logger, pods map[string]*corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, pod := range pods {
		a.activated = append(a.activated, pod.Name)
	}
}

// take returns those since the last time.
func (a *activator) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	activated := a.activated
	a.activated = nil
	return activated
}

// fixture is a plugin in a framework, with the cluster and the storage that a test sets.
type fixture struct {
	t         testing.TB
	pl        *VolumeLocality
	client    *fake.Clientset
	nodes     []fwk.NodeInfo
	activator *activator
	events    *events.FakeRecorder
	clock     *testingclock.FakeClock
	snapshots *plugins.Snapshots
	pools     *plugins.Pools
}

// world is what a fixture is made of.
type world struct {
	args    *config.VolumeLocalityArgs
	nodes   []*corev1.Node
	objects []runtime.Object
	driver  *memory
	// weight is the plugin's in the profile, 15 where it is 0.
	weight int32
	// preemptsFirst puts DefaultPreemption before our PostFilter, as a profile with multiPoint alone does.
	preemptsFirst bool
}

// stockPreemption stands for the in-tree plugin in the profile's order.
type stockPreemption struct{}

func newPreemption(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
	return stockPreemption{}, nil
}

func (stockPreemption) Name() string { return names.DefaultPreemption }

func (stockPreemption) PostFilter(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	return nil, fwk.NewStatus(fwk.Unschedulable)
}

func defaultArgs() *config.VolumeLocalityArgs {
	return &config.VolumeLocalityArgs{
		DefaultPolicy: config.LocalityPreferred,
		Topology: []config.TopologyTier{
			{Label: "topology.kubernetes.io/rack", Weight: 50}, {Label: corev1.LabelTopologyZone, Weight: 25}, {Label: corev1.LabelTopologyRegion, Weight: 10},
		},
		VolumeWeighting: config.VolumeWeightingEqual,
		DataNodesFirst:  true,
	}
}

// sixNodes are two racks of two nodes in one zone, and two nodes in another: a1 a2 b1 b2, c1 c2.
func sixNodes() []*corev1.Node {
	var nodes []*corev1.Node
	for _, name := range []string{"a1", "a2", "b1", "b2", "c1", "c2"} {
		zone := "near"
		if name[0] == 'c' {
			zone = "far"
		}
		nodes = append(nodes, st.MakeNode().Name(name).Label("topology.kubernetes.io/rack", name[:1]).Label(corev1.LabelTopologyZone, zone).Obj())
	}
	return nodes
}

func newFixture(t testing.TB, w world) *fixture {
	t.Helper()
	metrics.Register()
	objects := slices.Clone(w.objects)
	for _, node := range w.nodes {
		objects = append(objects, node)
	}
	f := &fixture{t: t, client: fake.NewClientset(objects...), activator: &activator{}, events: events.NewFakeRecorder(1000), clock: testingclock.NewFakeClock(testEpoch)}
	factory := informers.NewSharedInformerFactory(f.client, 0)
	snapshot := cache.NewSnapshot(nil, w.nodes)
	if w.args == nil {
		w.args = defaultArgs()
	}
	factoryOf := func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		var err error
		f.snapshots, f.pools = plugins.NewSnapshots(), plugins.NewPools(f.clock)
		if err := f.pools.Start(ctx, handle); err != nil {
			return nil, err
		}
		f.pl, err = New(ctx, w.args, handle, Sources{Registry: newRegistry(t, w.driver), Snapshots: f.snapshots, Pools: f.pools, Clock: f.clock})
		return f.pl, err
	}
	points := []tf.RegisterPluginFunc{
		tf.RegisterQueueSortPlugin(queuesort.Name, queuesort.New),
		tf.RegisterBindPlugin(defaultbinder.Name, defaultbinder.New),
	}
	postFilters := []tf.RegisterPluginFunc{
		tf.RegisterPluginAsExtensionsWithWeight(Name, cmp.Or(w.weight, 15), factoryOf, "PreFilter", "Filter", "PostFilter", "PreScore", "Score", "Reserve", "PostBind"),
		tf.RegisterPostFilterPlugin(names.DefaultPreemption, newPreemption),
	}
	if w.preemptsFirst {
		slices.Reverse(postFilters)
	}
	_, err := tf.NewFramework(t.Context(), append(points, postFilters...), "roost",
		frameworkruntime.WithClientSet(f.client), frameworkruntime.WithInformerFactory(factory),
		frameworkruntime.WithSnapshotSharedLister(snapshot), frameworkruntime.WithPodActivator(f.activator),
		frameworkruntime.WithEventRecorder(f.events))
	if err != nil {
		t.Fatalf("making the framework: %v", err)
	}
	if f.nodes, err = snapshot.NodeInfos().List(); err != nil {
		t.Fatalf("listing nodes: %v", err)
	}
	slices.SortFunc(f.nodes, func(a, b fwk.NodeInfo) int { return compareNames(a, b) })
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	waitUntil(t, f.pools.HasSynced)
	return f
}

func compareNames(a, b fwk.NodeInfo) int {
	if a.Node().Name < b.Node().Name {
		return -1
	}
	return 1
}

func newRegistry(t testing.TB, driver *memory) *drivers.Registry {
	t.Helper()
	registry := drivers.NewRegistry(testingclock.NewFakeClock(testEpoch), drivers.NewMetrics())
	if driver == nil {
		return registry
	}
	err := registry.Add(drivers.Driver{Name: "memory", Provisioners: []string{provisioner}, Source: driver, Locator: driver, Health: driver})
	if err != nil {
		t.Fatalf("adding the driver: %v", err)
	}
	return registry
}

// claimAndPV are a bound claim and its CSI volume, whose handle is "handle-of-" and the claim's name.
func claimAndPV(claim string) []runtime.Object {
	return []runtime.Object{
		builders.MakeClaim(claim).BoundTo("pv-" + claim).Obj(),
		builders.MakePV("pv-"+claim).CSI(provisioner, "handle-of-"+claim).ClaimedBy(claim).Obj(),
	}
}

func podUsing(claims ...string) *corev1.Pod {
	pod := st.MakePod().Name("db-0").UID("db-0").Namespace(builders.Namespace)
	for _, claim := range claims {
		pod = pod.PVC(claim)
	}
	return pod.Obj()
}

func annotated(pod *corev1.Pod, policy string) *corev1.Pod {
	pod.Annotations = map[string]string{"roost.dev/locality": policy}
	return pod
}

func inSync(nodes ...string) drivers.Location {
	var l drivers.Location
	for _, n := range nodes {
		l.Replicas = append(l.Replicas, drivers.Replica{Node: n, State: drivers.InSync})
	}
	return l
}

// outcome is what the extension points say of a pod, in one attempt.
type outcome struct {
	// Nodes are PreFilter's result; nil is all.
	Nodes []string
	// Code and Reasons are PreFilter's status.
	Code    fwk.Code
	Reasons []string
	// Allowed are the nodes that Filter lets pass, of all.
	Allowed []string
	// Scores are by node, in name order; nil where PreScore or PreFilter skips.
	Scores []int64
}

// attempt runs a pod from PreFilter to Score.
func (f *fixture) attempt(pod *corev1.Pod) (outcome, fwk.CycleState) {
	f.t.Helper()
	ctx, state := f.t.Context(), framework.NewCycleState()
	result, status := f.pl.PreFilter(ctx, state, pod, f.nodes)
	got := outcome{Code: status.Code()}
	if !status.IsSuccess() {
		got.Reasons = status.Reasons()
		return got, state
	}
	if !result.AllNodes() {
		got.Nodes = sets.List(result.NodeNames)
	}
	for _, info := range f.nodes {
		if f.pl.Filter(ctx, state, pod, info).IsSuccess() {
			got.Allowed = append(got.Allowed, info.Node().Name)
		}
	}
	if f.pl.PreScore(ctx, state, pod, f.nodes).IsSkip() {
		return got, state
	}
	for _, info := range f.nodes {
		score, status := f.pl.Score(ctx, state, pod, info)
		if !status.IsSuccess() {
			f.t.Fatalf("Score: %v", status)
		}
		got.Scores = append(got.Scores, score)
	}
	return got, state
}

// waitUntil waits for what an informer brings.
func waitUntil(t testing.TB, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waiting: %v", err)
	}
}
