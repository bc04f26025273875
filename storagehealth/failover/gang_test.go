// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/storagehealth/candidates"
)

// makeMember is a pod of a gang on another node.
func makeMember(name, node string, claims ...string) *corev1.Pod {
	member := makePod(name, claims...)
	member.Spec.NodeName = node
	return member
}

func otherNode(name string, ready bool) *corev1.Node {
	node := makeNode(ready)
	node.Name = name
	return node
}

// makeShare is a claim and its PersistentVolume, which many nodes may write to.
func makeShare(name string) []client.Object {
	share := makeVolume(name, theirs)[:2]
	share[1].(*corev1.PersistentVolume).Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	return share
}

// newGang has worker-0 on the sick node, worker-1 on node-2 and worker-2 on node-3, all of which have to go together.
func newGang(t *testing.T, more ...client.Object) *world {
	t.Helper()
	return newWorld(t, join(makeNode(true), []client.Object{makePod("worker-0", "a"), otherNode("node-2", true), otherNode("node-3", true),
		makeMember("worker-1", "node-2"), makeMember("worker-2", "node-3")}, makeVolume("a", ours), more)...)
}

// advanceGang is advance for a candidate with the given members, as they are now.
func (w *world) advanceGang(candidate string, members ...string) []string {
	w.t.Helper()
	job := w.job(candidate)
	for _, name := range members {
		pod := &corev1.Pod{}
		if err := w.raw.Get(w.t.Context(), types.NamespacedName{Namespace: builders.Namespace, Name: name}, pod); err != nil {
			w.t.Fatalf("reading pod %s: %v", name, err)
		}
		job.Candidates[0].Gang = append(job.Candidates[0].Gang, pod)
	}
	return w.advanceJob(job)
}

func (w *world) advanceJob(job *Job) []string {
	w.t.Helper()
	result, err := w.mover.Advance(w.t.Context(), job)
	if err != nil {
		w.t.Fatal(err)
	}
	var reasons []string
	for _, p := range result.Progress {
		reasons = append(reasons, p.Pod.Name+": "+p.Reason)
	}
	return reasons
}

func (w *world) wantNobodyGone() {
	w.t.Helper()
	for _, entry := range w.log {
		if !strings.HasPrefix(entry, "ask ") {
			w.t.Errorf("the gang was torn apart: %s; all of %q", entry, w.log)
		}
	}
}

func TestGang(t *testing.T) {
	w := newGang(t)
	wantReasons(t, w.advanceGang("worker-0", "worker-1", "worker-2"), "worker-0: Evicted")
	w.wantLog("ask worker-1 grace 30", "ask worker-2 grace 30", "ask worker-0 grace 30",
		"evict worker-1 grace 30", "evict worker-2 grace 30", "evict worker-0 grace 30")
}

// TestGangStaysWhole has one of the gang that may not go: nobody is evicted.
func TestGangStaysWhole(t *testing.T) {
	deadNode2 := func(w *world) {
		node := otherNode("node-2", false)
		if err := w.raw.Get(w.t.Context(), client.ObjectKeyFromObject(node), node); err != nil {
			w.t.Fatal(err)
		}
		node.Status = makeNode(false).Status
		if err := w.raw.Status().Update(w.t.Context(), node); err != nil {
			w.t.Fatal(err)
		}
	}
	forbid := func(pod string) func(*world) {
		return func(w *world) { w.forbids, w.keeps = budgetError(), []string{pod} }
	}
	tests := map[string]struct {
		change func(*world)
		want   string
	}{
		"a budget keeps the first":                                       {change: forbid("worker-1"), want: DisruptionBudget},
		"a budget keeps the second":                                      {change: forbid("worker-2"), want: DisruptionBudget},
		"a budget keeps the candidate":                                   {change: forbid("worker-0"), want: DisruptionBudget},
		"an operator holds one's node":                                   {change: func(w *world) { w.held = "node-3/" + theirs }, want: Braked},
		"one's annotation was set":                                       {change: func(w *world) { w.refusal["worker-2"] = candidates.Refusal{Reason: candidates.FailoverDisabled} }, want: candidates.GangWouldBreak},
		"the group is above the budget":                                  {change: func(w *world) { w.config.PodsPerMinute = 2; w.restart() }, want: Throttled},
		"one is on a dead node, and its successor could write beside it": {change: deadNode2, want: NeedsProof},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newGang(t, append(makeShare("m"), makeShare("n")...)...)
			for pod, claim := range map[string]string{"worker-1": "m", "worker-2": "n"} {
				w.setMember(pod, claim)
			}
			tc.change(w)
			wantReasons(t, w.advanceGang("worker-0", "worker-1", "worker-2"), "worker-0: "+tc.want)
			w.wantNobodyGone()
		})
	}
}

// setMember has a member be a ReplicaSet's, with a claim.
func (w *world) setMember(name, claim string) {
	w.t.Helper()
	pod := &corev1.Pod{}
	if err := w.raw.Get(w.t.Context(), types.NamespacedName{Namespace: builders.Namespace, Name: name}, pod); err != nil {
		w.t.Fatal(err)
	}
	pod.OwnerReferences[0].Kind = "ReplicaSet"
	pod.Spec.Volumes = makePod("", claim).Spec.Volumes
	if err := w.raw.Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

// TestGangOnDeadNodes has a member on another dead node. It may go where no second writer can come to be.
func TestGangOnDeadNodes(t *testing.T) {
	for name, tc := range map[string]struct {
		kind, claim string
		want        string
	}{
		"a StatefulSet makes no other before it is gone": {kind: "StatefulSet", claim: "many", want: Evicted},
		"a ReplicaSet makes one at once":                 {kind: "ReplicaSet", claim: "many", want: NeedsProof},
		"it has no volume":                               {kind: "ReplicaSet", want: Evicted},
		"attach-detach lets no second node have it":      {kind: "ReplicaSet", claim: "one", want: Evicted},
	} {
		t.Run(name, func(t *testing.T) {
			one := builders.MakePV("pv-one").CSI(theirs, "one").ClaimedBy("one").Obj()
			one.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
			member := makeMember("worker-1", "node-2")
			member.OwnerReferences[0].Kind = tc.kind
			if tc.claim != "" {
				member.Spec.Volumes = makePod("", tc.claim).Spec.Volumes
			}
			w := newWorld(t, join(makeNode(true), []client.Object{makePod("worker-0", "a"), member, otherNode("node-2", false), one,
				builders.MakeClaim("one").BoundTo("pv-one").Obj()}, makeVolume("a", ours), makeShare("many"))...)
			wantReasons(t, w.advanceGang("worker-0", "worker-1"), "worker-0: "+tc.want)
			if tc.want != Evicted {
				w.wantNobodyGone()
			}
		})
	}
}

// TestMemberWhoseNodeDies has a member's node die between the question and the eviction.
func TestMemberWhoseNodeDies(t *testing.T) {
	member := makeMember("worker-1", "node-2", "m")
	member.OwnerReferences[0].Kind = "ReplicaSet"
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("worker-0", "a"), member, otherNode("node-2", true)},
		makeVolume("a", ours), makeShare("m"))...)
	w.before = func() {
		node := otherNode("node-2", false)
		_ = w.raw.Get(t.Context(), client.ObjectKeyFromObject(node), node)
		node.Status = makeNode(false).Status
		if err := w.raw.Status().Update(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	wantReasons(t, w.advanceGang("worker-0", "worker-1"), "worker-0: NeedsProof")
	w.wantNobodyGone()
	if n := len(w.mover.budget.moved); n != 0 {
		t.Errorf("%d pods count as moved, want none", n)
	}
}

// TestGangOnOneNode has two of the gang on the failed node: neither goes while the other may not.
func TestGangOnOneNode(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("worker-0", "a"), makePod("worker-1", "b")},
		makeVolume("a", ours), makeVolume("b", ours))...)
	gang := func() *Job {
		job := w.job("worker-0", "worker-1")
		job.Candidates[0].Beside = []*candidates.Candidate{&job.Candidates[1]}
		job.Candidates[1].Beside = []*candidates.Candidate{&job.Candidates[0]}
		return job
	}
	w.forbids, w.keeps = budgetError(), []string{"worker-1"}
	wantReasons(t, w.advanceJob(gang()), "worker-0: DisruptionBudget", "worker-1: DisruptionBudget")
	w.wantNobodyGone()
	w.forbids = nil
	w.clock.Step(askAgain)
	wantReasons(t, w.advanceJob(gang()), "worker-0: Evicted", "worker-1: Evicted")
}

// TestGangBesideOneThatIsRemoved has two of the gang on a dead node, of which one is proven: no budget is asked about that one.
func TestGangBesideOneThatIsRemoved(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("worker-0", "a"), makePod("worker-1", "b")},
		makeVolume("a", ours), makeVolume("b", ours))...)
	w.fence("b")
	w.forbids, w.keeps = budgetError(), []string{"worker-1"}
	job := w.job("worker-0", "worker-1")
	job.Candidates[0].Beside = []*candidates.Candidate{&job.Candidates[1]}
	wantReasons(t, w.advanceJob(job), "worker-0: Evicted", "worker-1: Evicted")
	w.wantLog("ask worker-0 grace 30", "evict worker-0 grace 30", "delete worker-1 grace 30")
}

// TestGangThatCannotGo has a member that a PodDisruptionBudget keeps, on a healthy node: the gang stays whole, and is tried
// again. Not even the deadline overrides a budget for a pod that is well.
func TestGangThatCannotGo(t *testing.T) {
	w := newGang(t)
	w.config.PDBPolicy = managerv1alpha1.DeleteAfterDeadline
	w.restart()
	w.forbids, w.keeps = budgetError(), []string{"worker-1"}
	for range 3 {
		wantReasons(t, w.advanceGang("worker-0", "worker-1", "worker-2"), "worker-0: DisruptionBudget")
		w.clock.Step(10 * time.Minute)
	}
	w.wantLog("ask worker-1 grace 30", "ask worker-1 grace 30", "ask worker-1 grace 30")
}

// TestGangAfterTheDeadline has a budget keep the pod of the failed node, which the deadline overrides.
func TestGangAfterTheDeadline(t *testing.T) {
	w := newGang(t)
	w.config.PDBPolicy = managerv1alpha1.DeleteAfterDeadline
	w.config.PDBDeadline = metav1.Duration{Duration: time.Minute}
	w.restart()
	w.forbids, w.keeps = budgetError(), []string{"worker-0"}
	wantReasons(t, w.advanceGang("worker-0", "worker-1"), "worker-0: DisruptionBudget")
	w.wantNobodyGone()
	w.clock.Step(time.Minute)
	w.log = nil
	wantReasons(t, w.advanceGang("worker-0", "worker-1"), "worker-0: Evicted")
	w.wantLog("ask worker-1 grace 30", "ask worker-0 grace 30", "evict worker-1 grace 30", "evict worker-0 grace 30", "delete worker-0 grace 30")
}
