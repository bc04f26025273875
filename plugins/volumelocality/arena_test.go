// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultbinder"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/queuesort"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	tf "k8s.io/kubernetes/pkg/scheduler/testing/framework"
	testingclock "k8s.io/utils/clock/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/plugins"
)

// current is the cluster as the scheduling cycle sees it.
type current struct{ fwk.SharedLister }

// nominations are those of the scheduler's queue. Evictions read them meanwhile.
type nominations struct {
	fwk.PodNominator
	mu    sync.Mutex
	byPod map[types.UID]nomination
}

type nomination struct {
	pod  fwk.PodInfo
	node string
}

func (n *nominations) AddNominatedPod(_ klog.Logger, pod fwk.PodInfo, info *fwk.NominatingInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byPod[pod.GetPod().UID] = nomination{pod: pod, node: info.NominatedNodeName}
}

func (n *nominations) DeleteNominatedPodIfExists(pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.byPod, pod.UID)
}

func (n *nominations) NominatedPodsForNode(node string) []fwk.PodInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	var pods []fwk.PodInfo
	for _, nominated := range n.byPod {
		if nominated.node == node {
			pods = append(pods, nominated.pod)
		}
	}
	return pods
}

// arena is a profile with what the stock scheduler has for room and for preemption, and with our plugin. Pods are scheduled
// one by one, by the test, on nodes of two CPUs. The plugin's drivers say where the volumes are.
type arena struct {
	t         *testing.T
	client    *fake.Clientset
	informers informers.SharedInformerFactory
	pl        *VolumeLocality
	framework framework.Framework
	// preempting are the plugins that keep pods out of the queue while they preempt for them.
	preempting []fwk.PreEnqueuePlugin
	cluster    *current
	nodes      []*corev1.Node
	activator  *activator
	clock      *testingclock.FakeClock
	events     *events.FakeRecorder
}

// arenaOptions are what an arena begins with.
type arenaOptions struct {
	// locations are those of the claims' volumes.
	locations map[string]drivers.Location
	objects   []runtime.Object
	// withoutPreemption leaves the in-tree plugin out of the profile.
	withoutPreemption bool
	// withoutFit leaves out the plugin that looks at requests.
	withoutFit bool
}

func newArena(t *testing.T, o arenaOptions) *arena {
	t.Helper()
	metrics.Register()
	a := &arena{t: t, cluster: &current{}, activator: &activator{}, clock: testingclock.NewFakeClock(testEpoch), events: events.NewFakeRecorder(1000)}
	locations := map[string]drivers.Location{}
	for _, claim := range slices.Sorted(maps.Keys(o.locations)) {
		o.objects = append(o.objects, claimAndPV(claim)...)
		locations["handle-of-"+claim] = o.locations[claim]
	}
	for _, name := range []string{"a1", "a2", "b1"} {
		a.nodes = append(a.nodes, st.MakeNode().Name(name).Label("topology.kubernetes.io/rack", name[:1]).
			Capacity(map[corev1.ResourceName]string{corev1.ResourceCPU: "2", corev1.ResourcePods: "10"}).Obj())
	}
	a.client = fake.NewClientset(o.objects...)
	a.informers = informers.NewSharedInformerFactory(a.client, 0)
	ours := func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		pools := plugins.NewPools(a.clock)
		if err := pools.Start(ctx, handle); err != nil {
			return nil, err
		}
		var err error
		a.pl, err = New(ctx, defaultArgs(), handle, Sources{
			Registry: newRegistry(t, &memory{locations: locations}), Snapshots: plugins.NewSnapshots(), Pools: pools, Clock: a.clock,
		})
		a.preempting = append(a.preempting, a.pl)
		return a.pl, err
	}
	a.framework = a.newFramework(ours, o)
	a.informers.Start(t.Context().Done())
	a.informers.WaitForCacheSync(t.Context().Done())
	return a
}

func (a *arena) newFramework(ours frameworkruntime.PluginFactory, o arenaOptions) framework.Framework {
	a.t.Helper()
	fit := func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		args := &schedulerconfig.NodeResourcesFitArgs{ScoringStrategy: &schedulerconfig.ScoringStrategy{Type: schedulerconfig.LeastAllocated}}
		return noderesources.NewFit(ctx, args, handle, feature.Features{})
	}
	inTree := func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		args := &schedulerconfig.DefaultPreemptionArgs{MinCandidateNodesPercentage: 10, MinCandidateNodesAbsolute: 100}
		made, err := defaultpreemption.New(ctx, args, handle, feature.Features{EnableAsyncPreemption: true})
		a.preempting = append(a.preempting, made)
		return made, err
	}
	plugins := []tf.RegisterPluginFunc{
		tf.RegisterQueueSortPlugin(queuesort.Name, queuesort.New),
		tf.RegisterBindPlugin(defaultbinder.Name, defaultbinder.New),
		tf.RegisterPluginAsExtensions(Name, ours, "PreFilter", "Filter", "PostFilter", "PostBind"),
	}
	if !o.withoutFit {
		plugins = append(plugins, tf.RegisterPluginAsExtensions(noderesources.Name, fit, "PreFilter", "Filter"))
	}
	if !o.withoutPreemption {
		plugins = append(plugins, tf.RegisterPluginAsExtensions(defaultpreemption.Name, inTree, "PostFilter"))
	}
	made, err := tf.NewFramework(a.t.Context(), plugins, "roost",
		frameworkruntime.WithClientSet(a.client), frameworkruntime.WithInformerFactory(a.informers),
		frameworkruntime.WithSnapshotSharedLister(a.cluster), frameworkruntime.WithPodActivator(a.activator),
		frameworkruntime.WithPodNominator(&nominations{byPod: map[types.UID]nomination{}}),
		frameworkruntime.WithWaitingPods(frameworkruntime.NewWaitingPodsMap()), frameworkruntime.WithPodsInPreBind(frameworkruntime.NewPodsInPreBindMap()),
		frameworkruntime.WithEventRecorder(a.events))
	if err != nil {
		a.t.Fatalf("making the framework: %v", err)
	}
	return made
}

// attempt is what came of one attempt to schedule a pod.
type attempt struct {
	// Node is where it was bound.
	Node string
	// Nominated is where room is made for it.
	Nominated string
	// Why is what PostFilter says.
	Why string
}

// schedule makes one attempt, and waits until those who are evicted for it are gone.
func (a *arena) schedule(name string) attempt {
	a.t.Helper()
	a.look()
	ctx, pod, state := a.t.Context(), a.pod(name), framework.NewCycleState()
	result, status, _ := a.framework.RunPreFilterPlugins(ctx, state, pod)
	statuses := framework.NewDefaultNodeToStatus()
	if !status.IsSuccess() {
		statuses.SetAbsentNodesStatus(status)
	}
	for _, node := range a.nodes {
		if !status.IsSuccess() || !result.AllNodes() && !result.NodeNames.Has(node.Name) {
			continue
		}
		info, err := a.cluster.NodeInfos().Get(node.Name)
		if err != nil {
			a.t.Fatalf("node %s: %v", node.Name, err)
		}
		fits := a.framework.RunFilterPluginsWithNominatedPods(ctx, state, pod, info)
		if fits.IsSuccess() {
			pod.Spec.NodeName, pod.Status.NominatedNodeName = node.Name, ""
			a.update(pod)
			a.framework.DeleteNominatedPodIfExists(pod)
			a.framework.RunPostBindPlugins(ctx, state, pod, node.Name)
			return attempt{Node: node.Name}
		}
		statuses.Set(node.Name, fits)
	}
	nominated, status := a.framework.RunPostFilterPlugins(ctx, state, pod, statuses)
	got := attempt{Why: status.Message()}
	if nominated != nil && nominated.NominatingInfo != nil {
		got.Nominated = nominated.NominatedNodeName
		pod.Status.NominatedNodeName = got.Nominated
		a.update(pod)
		// As the scheduler does: without it a pod of lower priority takes the room.
		info, err := framework.NewPodInfo(pod)
		if err != nil {
			a.t.Fatalf("nominating pod %s: %v", name, err)
		}
		a.framework.AddNominatedPod(klog.FromContext(ctx), info, nominated.NominatingInfo)
	}
	waitUntil(a.t, func() bool { return a.mayEnter(pod) })
	return got
}

// mayEnter says that no plugin keeps the pod out of the queue, as those do that preempt for it.
func (a *arena) mayEnter(pod *corev1.Pod) bool {
	return !slices.ContainsFunc(a.preempting, func(pl fwk.PreEnqueuePlugin) bool { return !pl.PreEnqueue(a.t.Context(), pod).IsSuccess() })
}

// look waits until the informer has what the cluster has, and takes it as the snapshot.
func (a *arena) look() {
	a.t.Helper()
	var pods []*corev1.Pod
	for _, pod := range a.list() {
		pods = append(pods, pod.DeepCopy())
	}
	waitUntil(a.t, func() bool {
		seen, err := a.informers.Core().V1().Pods().Lister().List(labels.Everything())
		slices.SortFunc(seen, func(x, y *corev1.Pod) int { return cmp.Compare(x.Name, y.Name) })
		return err == nil && apiequality.Semantic.DeepEqual(seen, pods)
	})
	a.cluster.SharedLister = cache.NewSnapshot(slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return p.Spec.NodeName == "" }), a.nodes)
}

// list are the cluster's pods by name.
func (a *arena) list() []corev1.Pod {
	a.t.Helper()
	pods, err := a.client.CoreV1().Pods(builders.Namespace).List(a.t.Context(), metav1.ListOptions{})
	if err != nil {
		a.t.Fatalf("listing pods: %v", err)
	}
	slices.SortFunc(pods.Items, func(x, y corev1.Pod) int { return cmp.Compare(x.Name, y.Name) })
	return pods.Items
}

func (a *arena) names() []string {
	a.t.Helper()
	var names []string
	for _, pod := range a.list() {
		names = append(names, pod.Name)
	}
	return names
}

func (a *arena) pod(name string) *corev1.Pod {
	a.t.Helper()
	pod, err := a.client.CoreV1().Pods(builders.Namespace).Get(a.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		a.t.Fatalf("getting pod %s: %v", name, err)
	}
	return pod.DeepCopy()
}

func (a *arena) update(pod *corev1.Pod) {
	a.t.Helper()
	if _, err := a.client.CoreV1().Pods(pod.Namespace).Update(a.t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		a.t.Fatalf("updating pod %s: %v", pod.Name, err)
	}
}

func (a *arena) create(pods ...*corev1.Pod) {
	a.t.Helper()
	for _, pod := range pods {
		if _, err := a.client.CoreV1().Pods(pod.Namespace).Create(a.t.Context(), pod, metav1.CreateOptions{}); err != nil {
			a.t.Fatalf("creating pod %s: %v", pod.Name, err)
		}
	}
}

// populate creates the pod "db", which uses the claim "data" and may be changed before, and those that run already.
func (a *arena) populate(db contender, change func(*corev1.Pod), running []contender) {
	a.t.Helper()
	db.name, db.claim = "db", "data"
	pod := db.obj()
	if change != nil {
		change(pod)
	}
	a.create(pod)
	for _, c := range running {
		a.create(c.obj())
	}
}

// contender makes a pod that takes a whole node of an arena, unless cpu says otherwise.
type contender struct {
	name, claim, node, cpu string
	priority               int32
	// age is how many seconds it runs.
	age    int
	policy string
	wait   string
	labels map[string]string
	round  int
}

func (c contender) obj() *corev1.Pod {
	made := st.MakePod().Namespace(builders.Namespace).Name(c.name).UID(fmt.Sprintf("%s-%d", c.name, c.round)).Node(c.node).Priority(c.priority).
		Labels(c.labels).Req(map[corev1.ResourceName]string{corev1.ResourceCPU: cmp.Or(c.cpu, "2")})
	if c.claim != "" {
		made = made.PVC(c.claim)
	}
	pod := made.Obj()
	pod.Annotations = map[string]string{}
	if c.policy != "" {
		pod.Annotations["roost.dev/locality"] = c.policy
	}
	if c.wait != "" {
		pod.Annotations["roost.dev/locality-wait"] = c.wait
	}
	pod.UID = types.UID(fmt.Sprintf("%s-%d", c.name, c.round))
	if c.node != "" {
		started := metav1.NewTime(testEpoch.Add(-secondsOf(c.age)))
		pod.Status.StartTime = &started
	}
	return pod
}
