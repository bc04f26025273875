// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
)

// runningFixture brings pods back. Its pods exist and have a volume of the driver each; storage is offline on all nodes.
func runningFixture(t *testing.T, pods ...*corev1.Pod) *fixture {
	t.Helper()
	w := world{
		states:  map[part]drivers.StorageState{on("a"): drivers.Offline, on("b"): drivers.Offline, on("c"): drivers.Offline},
		objects: slices.Concat(installed(provisioner, other), csi("data", provisioner), csi("more", other)),
	}
	for _, pod := range pods {
		w.objects = append(w.objects, pod)
	}
	f := newFixture(t, w)
	go f.pl.waiting.run(t.Context())
	waitUntil(t, "the ticker", f.clock.HasWaiters)
	return f
}

// rejects has Filter ask about the pod on the nodes of these names, and wants it to be rejected.
func (f *fixture) rejects(pod *corev1.Pod, nodes ...string) {
	f.t.Helper()
	state := framework.NewCycleState()
	f.pl.PreFilter(f.t.Context(), state, pod, f.nodes)
	for _, info := range f.nodes {
		if slices.Contains(nodes, info.Node().Name) && f.pl.Filter(f.t.Context(), state, pod, info).IsSuccess() {
			f.t.Fatalf("node %s is feasible for %s", info.Node().Name, pod.Name)
		}
	}
}

// waits are the names of the pods that are remembered.
func (f *fixture) waits() []string {
	f.pl.waiting.mu.RLock()
	defer f.pl.waiting.mu.RUnlock()
	var names []string
	for _, w := range f.pl.waiting.pods {
		names = append(names, w.pod.Name)
	}
	slices.Sort(names)
	return names
}

func TestPodsComeBackWhenTheirNodeIsWell(t *testing.T) {
	onA, onB, elsewhere := newPod("on-a", "data"), newPod("on-b", "data"), newPod("elsewhere", "more")
	f := runningFixture(t, onA, onB, elsewhere)
	f.memory.say(part{other, "a"}, drivers.Offline)
	f.rejects(onA, "a")
	f.rejects(onB, "b")
	f.rejects(elsewhere, "a")

	f.memory.say(on("a"), drivers.Maintenance) // Still of no use.
	f.memory.say(on("a"), drivers.Online)
	waitUntil(t, "the pod of that node comes back", f.handle.has("default/on-a"))
	if diff := cmp.Diff([]string{"elsewhere", "on-b"}, f.waits()); diff != "" {
		t.Errorf("pods that still wait (-want +got):\n%s", diff)
	}
	f.memory.say(on("a"), drivers.Degraded) // It does not wait any more.
	f.memory.say(on("b"), drivers.Degraded)
	waitUntil(t, "the pod of the other node comes back", f.handle.has("default/on-a", "default/on-b"))
	f.memory.say(part{other, "a"}, drivers.Unknown)
	waitUntil(t, "the pod of the other driver comes back", f.handle.has("default/on-a", "default/on-b", "default/elsewhere"))
}

func TestPodsComeBackWhenAVerdictEnds(t *testing.T) {
	pod := newPod("db-0", "data")
	f := runningFixture(t, pod)
	nodes := nodesOf{f.memory}
	nodes.say(on("a"), plugins.StorageNode{State: storagev1alpha1.HealthFailedOver})
	f.memory.say(on("a"), drivers.Online)
	f.rejects(pod, "a")
	nodes.say(on("a"), plugins.StorageNode{State: storagev1alpha1.HealthHealthy, Maintenance: true})
	f.rejects(pod, "a")
	nodes.say(on("a"), plugins.StorageNode{State: storagev1alpha1.HealthHealthy})
	waitUntil(t, "the pod comes back", f.handle.has("default/db-0"))
}

// A pod that was kept off many nodes comes back for any node of its drivers, and for no other driver's.
func TestPodsThatWaitForManyNodes(t *testing.T) {
	pod := newPod("db-0", "data")
	f := runningFixture(t, pod)
	w := &waiter{pod: pod, storages: []storage{{provisioner: provisioner}}}
	for i := range 1000 {
		p := on(fmt.Sprintf("node-%d", i))
		f.memory.states[p] = drivers.Offline
		f.pl.waiting.add(w, p)
	}
	if len(w.parts) != maxParts {
		t.Errorf("%d parts are remembered, want %d", len(w.parts), maxParts)
	}
	if w.waitsFor(map[part]bool{{other, "node-999"}: true}) {
		t.Error("the pod waits for another driver")
	}
	f.memory.say(on("node-999"), drivers.Online)
	waitUntil(t, "the pod comes back", f.handle.has("default/db-0"))
	waitUntil(t, "nothing is remembered once nobody waits", func() bool {
		f.pl.waiting.mu.RLock()
		defer f.pl.waiting.mu.RUnlock()
		return len(f.pl.waiting.pods) == 0 && len(f.pl.waiting.faulty) == 0
	})
}

// A report that grows too old to count changes without a word.
func TestPodsComeBackWithoutWord(t *testing.T) {
	pod := newPod("db-0", "data")
	f := runningFixture(t, pod)
	f.rejects(pod, "a")
	f.memory.mu.Lock()
	f.memory.states[on("a")] = drivers.Unknown
	f.memory.mu.Unlock()
	f.clock.Step(plugins.LookInterval)
	waitUntil(t, "the pod comes back", f.handle.has("default/db-0"))
}

// recoveringNodes are usable as soon as they have been asked once.
type recoveringNodes struct {
	StorageNodes
	asked int
}

func (n *recoveringNodes) Of(string, string) plugins.StorageNode {
	n.asked++
	if n.asked == 1 {
		return plugins.StorageNode{State: storagev1alpha1.HealthRecovering}
	}
	return plugins.StorageNode{State: storagev1alpha1.HealthHealthy}
}

// Word that comes before the pod waits finds nobody to bring back, so the node must be feasible then.
func TestAChangeWhileAPodBeginsToWaitIsNotLost(t *testing.T) {
	pod := newPod("db-0", "data")
	f := newFixture(t, world{objects: append(append(installed(provisioner), csi("data", provisioner)...), pod)})
	f.pl.health.storageNodes = &recoveringNodes{}
	if got := f.attempt(pod); got.Rejected != nil {
		t.Errorf("rejected: %v, want no node", got.Rejected)
	}
}

func TestPodsAreForgotten(t *testing.T) {
	boundPod, deleted, stays := newPod("bound", "data"), newPod("deleted", "data"), newPod("stays", "data")
	f := runningFixture(t, boundPod, deleted, stays)
	for _, pod := range []*corev1.Pod{boundPod, deleted, stays} {
		f.rejects(pod, "a")
	}
	f.pl.PostBind(t.Context(), framework.NewCycleState(), boundPod, "c")
	if err := f.client.CoreV1().Pods(deleted.Namespace).Delete(t.Context(), deleted.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "only one waits", func() bool { return slices.Equal(f.waits(), []string{"stays"}) })
}

func TestAPodThatIsDeletedDuringItsCycleIsForgotten(t *testing.T) {
	again := newPod("again", "data")
	again.UID = "another"
	f := runningFixture(t, again)
	f.rejects(newPod("gone", "data"), "a")
	f.rejects(newPod("again", "data"), "a") // Of this name there is another pod by now.
	if diff := cmp.Diff([]string(nil), f.waits()); diff != "" {
		t.Errorf("pods that wait (-want +got):\n%s", diff)
	}
}

// A change of a node that keeps nobody waiting is not looked at: heartbeats of 5,000 nodes cost nothing.
func TestChangesThatConcernNobody(t *testing.T) {
	pod := newPod("db-0", "data")
	q := newWaiting(waitingOptions{exists: func(*corev1.Pod) bool { return true }})
	q.add(&waiter{pod: pod}, on("a"))
	q.changed(on("b"))
	q.changed(part{other, "a"})
	q.changed(part{})
	if len(q.look) != 0 {
		t.Error("a change that concerns nobody is looked at")
	}
	q.changed(on("a"))
	q.changed(on("a")) // Does not block.
	if len(q.look) != 1 {
		t.Error("a change that a pod waits for is not looked at")
	}
}

// Filter runs on many nodes at once, while storage changes. Whatever the order, a pod that was rejected on a node that is
// well in the end has come back since.
func TestNoChangeIsLostBetweenManyPods(t *testing.T) {
	const pods, rounds = 8, 200
	var all []*corev1.Pod
	for i := range pods {
		all = append(all, newPod(fmt.Sprintf("db-%d", i), "data"))
	}
	f := runningFixture(t, all...)
	for range rounds {
		f.memory.say(on("a"), drivers.Offline)
		rejected := filterWhile(f, all, func() { f.memory.say(on("a"), drivers.Online) })
		waitUntil(t, "all that were rejected are back", func() bool {
			waiting := f.waits()
			return !slices.ContainsFunc(rejected, func(name string) bool { return slices.Contains(waiting, name) })
		})
	}
}

// filterWhile asks about node a for all pods at once while something happens, and returns the rejected.
func filterWhile(f *fixture, pods []*corev1.Pod, happens func()) []string {
	var group sync.WaitGroup
	var mu sync.Mutex
	rejected := map[string]bool{}
	group.Go(happens)
	for _, pod := range pods {
		group.Go(func() {
			state := framework.NewCycleState()
			f.pl.PreFilter(f.t.Context(), state, pod, f.nodes)
			if f.pl.Filter(f.t.Context(), state, pod, f.nodes[0]).Code() == fwk.UnschedulableAndUnresolvable {
				mu.Lock()
				defer mu.Unlock()
				rejected[pod.Name] = true
			}
		})
	}
	group.Wait()
	return slices.Collect(maps.Keys(rejected))
}

func TestNobodyIsBroughtBackForNothing(t *testing.T) {
	f := newFixture(t, world{})
	f.pl.waiting.wake(klog.FromContext(t.Context()))
	if !f.handle.has()() {
		t.Errorf("activated: %v, want none", f.handle.activated)
	}
}
