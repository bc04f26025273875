// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"
	"k8s.io/utils/ptr"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

// twoDataNodes have the data of the pod "db" on a1 and b1, and that of others where their names say.
func twoDataNodes() map[string]drivers.Location {
	return map[string]drivers.Location{
		"data": inSync("a1", "b1"), "on-a1": inSync("a1"), "on-b1": inSync("b1"),
		"filling-on-a1": {Replicas: []drivers.Replica{{Node: "a1", State: drivers.Rebuilding}, {Node: "b1", State: drivers.InSync}}},
	}
}

// guard is a budget that allows no pod of the app "guarded" to be disrupted.
func guard() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "guarded"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "guarded"}}},
	}
}

var evictionTests = map[string]struct {
	running []contender
	db      contender
	// change makes the pod another one.
	change  func(*corev1.Pod)
	budgets []runtime.Object
	without bool
	// wantNode is where the pod goes at once.
	wantNode string
	// wantEvicted are those who have to go.
	wantEvicted []string
}{
	"of one priority the pod without storage goes, though it is the older one": {
		running: []contender{
			{name: "stateless", node: "a1", cpu: "1", age: 1000}, {name: "neighbour", node: "a1", cpu: "1", age: 10, claim: "on-a1"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db:          contender{cpu: "1", policy: "Required", priority: 10},
		wantEvicted: []string{"stateless"},
	},
	"a pod that has storage and does not run next to it is not kept": {
		running: []contender{
			{name: "stateless", node: "a1", cpu: "1", age: 1000}, {name: "stranger", node: "a1", cpu: "1", age: 10, claim: "on-b1"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db:          contender{cpu: "1", policy: "Required", priority: 10},
		wantEvicted: []string{"stranger"},
	},
	"a pod that wants to be away from its data is not kept next to it": {
		running: []contender{
			{name: "stateless", node: "a1", cpu: "1", age: 1000}, {name: "averse", node: "a1", cpu: "1", age: 10, claim: "on-a1", policy: "Avoid"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db:          contender{cpu: "1", policy: "Required", priority: 10},
		wantEvicted: []string{"averse"},
	},
	"priority counts before data": {
		running: []contender{
			{name: "stateless", node: "a1", cpu: "1", priority: 5}, {name: "neighbour", node: "a1", cpu: "1", claim: "on-a1"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db:          contender{cpu: "1", policy: "Required", priority: 10},
		wantEvicted: []string{"neighbour"},
	},
	"two pods without storage go before one next to its data": {
		running: []contender{
			{name: "neighbour", node: "a1", claim: "on-a1"},
			{name: "one", node: "b1", cpu: "1"}, {name: "two", node: "b1", cpu: "1"},
		},
		db:          contender{policy: "Required", priority: 10},
		wantEvicted: []string{"one", "two"},
	},
	"between nodes priority counts before data as well": {
		running: []contender{
			{name: "neighbour", node: "a1", claim: "on-a1"},
			{name: "dear", node: "b1", priority: 5},
		},
		db:          contender{policy: "Required", priority: 10},
		wantEvicted: []string{"neighbour"},
	},
	"a pod of low priority next to its data does not have one of high priority evicted": {
		running: []contender{
			{name: "dear-a", node: "a1", cpu: "1", priority: 5}, {name: "neighbour", node: "a1", cpu: "1", claim: "on-a1"},
			{name: "dear-b1", node: "b1", cpu: "1", priority: 5}, {name: "dear-b2", node: "b1", cpu: "1", priority: 5},
		},
		db:          contender{policy: "Required", priority: 10},
		wantEvicted: []string{"dear-a", "neighbour"},
	},
	"of those who go with them, too, pods next to their data are kept": {
		running: []contender{
			{name: "dear-a", node: "a1", cpu: "1", priority: 5, age: 10}, {name: "neighbour", node: "a1", cpu: "1", claim: "on-a1", age: 10},
			{name: "dear-b", node: "b1", cpu: "1", priority: 5, age: 1000}, {name: "stateless", node: "b1", cpu: "1", age: 1000},
		},
		db:          contender{policy: "Required", priority: 10},
		wantEvicted: []string{"dear-b", "stateless"},
	},
	"a replica that is being filled is no data": {
		running: []contender{
			{name: "stateless", node: "a1", cpu: "1", age: 1000}, {name: "early", node: "a1", cpu: "1", age: 10, claim: "filling-on-a1"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db:          contender{cpu: "1", policy: "Required", priority: 10},
		wantEvicted: []string{"early"},
	},
	"between nodes a disruption budget counts first": {
		running: []contender{
			{name: "guarded", node: "a1", labels: map[string]string{"app": "guarded"}},
			{name: "neighbour", node: "b1", priority: 5, claim: "on-b1"},
		},
		db: contender{policy: "Required", priority: 10}, budgets: []runtime.Object{guard()},
		wantEvicted: []string{"neighbour"},
	},
	"a disruption budget counts before data": {
		running: []contender{
			{name: "guarded", node: "a1", cpu: "1", labels: map[string]string{"app": "guarded"}}, {name: "neighbour", node: "a1", cpu: "1", claim: "on-a1"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db: contender{cpu: "1", policy: "Required", priority: 10}, budgets: []runtime.Object{guard()},
		wantEvicted: []string{"neighbour"},
	},
	"a pod that waits makes room on its data nodes, though another node is free": {
		running:     []contender{{name: "dear", node: "a1", priority: 10}, {name: "cheap", node: "b1"}},
		db:          contender{wait: "10m", priority: 10},
		wantEvicted: []string{"cheap"},
	},
	"a pod that neither waits nor requires its data evicts nobody to be next to it": {
		running: []contender{{name: "one", node: "a1"}, {name: "two", node: "b1"}},
		db:      contender{priority: 10}, wantNode: "a2",
	},
	"nobody is evicted on a node without the data": {
		running: []contender{{name: "one", node: "a1", priority: 10}, {name: "two", node: "b1", priority: 10}, {name: "cheap", node: "a2"}},
		db:      contender{policy: "Required", priority: 10},
	},
	"a pod that must not preempt does not": {
		running: []contender{{name: "one", node: "a1"}, {name: "two", node: "b1"}},
		db:      contender{policy: "Required", priority: 10},
		change:  func(pod *corev1.Pod) { pod.Spec.PreemptionPolicy = ptr.To(corev1.PreemptNever) },
	},
	"nobody is evicted where the profile has no preemption": {
		running: []contender{{name: "one", node: "a1"}, {name: "two", node: "b1"}},
		db:      contender{policy: "Required", priority: 10},
		without: true,
	},
	"a pod that waits with resource claims is left to the chain, which keeps to the data nodes too": {
		running: []contender{
			{name: "stateless", node: "a1", cpu: "1", age: 1000}, {name: "neighbour", node: "a1", cpu: "1", age: 10, claim: "on-a1"},
			{name: "elsewhere", node: "b1", priority: 10},
		},
		db:     contender{cpu: "1", wait: "10m", priority: 10},
		change: func(pod *corev1.Pod) { pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} },
		// The in-tree plugin goes by age.
		wantEvicted: []string{"neighbour"},
	},
}

func TestWhoIsEvictedForAPodThatIsHeldToItsDataNodes(t *testing.T) {
	for name, tc := range evictionTests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, arenaOptions{locations: twoDataNodes(), objects: tc.budgets, withoutPreemption: tc.without})
			a.populate(tc.db, tc.change, tc.running)
			before := a.names()
			got := a.schedule("db")
			evicted := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(a.names(), name) })
			if diff := cmp.Diff(tc.wantEvicted, evicted, cmp.Transformer("none", emptyIsNil)); diff != "" {
				t.Errorf("evicted (-want +got):\n%s", diff)
			}
			if (got.Nominated != "") != (len(tc.wantEvicted) > 0) || got.Node != tc.wantNode {
				t.Errorf("the attempt ended with %+v, want a nominated node where somebody was evicted", got)
			}
			if len(tc.wantEvicted) == 0 {
				return
			}
			if again := a.schedule("db"); again.Node != got.Nominated {
				t.Errorf("the next attempt ended with %+v, want it bound to %s", again, got.Nominated)
			}
		})
	}
}

func emptyIsNil(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return names
}

// TestDataThatMovedCountsInTheNextPreemption begins with what another preemption has found out.
func TestDataThatMovedCountsInTheNextPreemption(t *testing.T) {
	a := newArena(t, arenaOptions{locations: twoDataNodes()})
	stateless, neighbour := contender{name: "stateless", node: "a1", cpu: "1", age: 1000}.obj(), contender{name: "neighbour", node: "a1", cpu: "1", age: 10, claim: "on-a1"}.obj()
	a.create(contender{name: "db", claim: "data", cpu: "1", policy: "Required", priority: 10}.obj(), stateless, neighbour,
		contender{name: "elsewhere", node: "b1", priority: 10}.obj())
	a.pl.evictor.next = map[types.UID]bool{stateless.UID: true, neighbour.UID: false}
	a.schedule("db")
	if diff := cmp.Diff([]string{"db", "elsewhere", "neighbour"}, a.names()); diff != "" {
		t.Errorf("pods that are left (-want +got):\n%s", diff)
	}
}

// TestANominationEndsWhenItIsOfNoUse has a pod that was to go to a node which a dearer pod took meanwhile.
func TestANominationEndsWhenItIsOfNoUse(t *testing.T) {
	a := newArena(t, arenaOptions{locations: twoDataNodes()})
	db := contender{name: "db", claim: "data", policy: "Required", priority: 10}.obj()
	db.Status.NominatedNodeName = "a1"
	a.create(db, contender{name: "one", node: "a1", priority: 10}.obj(), contender{name: "two", node: "b1", priority: 10}.obj())
	a.schedule("db")
	if got := a.pod("db").Status.NominatedNodeName; got != "" {
		t.Errorf("still nominated to %q, where it holds room that others could use", got)
	}
}

// TestNobodyIsEvictedTwiceWhileTheVictimEnds has a victim that takes its time, and a preemptor that is tried again meanwhile.
func TestNobodyIsEvictedTwiceWhileTheVictimEnds(t *testing.T) {
	a := newArena(t, arenaOptions{locations: twoDataNodes()})
	var evicted []string
	a.pl.evictor.Executor.PreemptPod = func(_ context.Context, _ preemption.Candidate, _ preemption.ExecutorPreemptor, victim *corev1.Pod, _ string) error {
		evicted = append(evicted, victim.Name)
		ending := a.pod(victim.Name)
		ending.DeletionTimestamp = ptr.To(metav1.NewTime(testEpoch))
		ending.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler}}
		a.update(ending)
		return nil
	}
	a.create(contender{name: "db", claim: "data", policy: "Required", priority: 10}.obj(), contender{name: "one", node: "a1", age: 10}.obj(),
		contender{name: "two", node: "b1", age: 20}.obj())
	for range 3 {
		a.schedule("db")
	}
	if diff := cmp.Diff([]string{"one"}, evicted); diff != "" {
		t.Errorf("evicted (-want +got):\n%s", diff)
	}
	if got := a.pod("db").Status.NominatedNodeName; got != "a1" {
		t.Errorf("nominated to %q, want a1", got)
	}
}

func TestAPodStaysOutOfTheQueueWhileItsVictimsAreEvicted(t *testing.T) {
	a := newArena(t, arenaOptions{locations: twoDataNodes()})
	db := contender{name: "db", claim: "data", policy: "Required", priority: 10}.obj()
	a.create(db, contender{name: "one", node: "a1"}.obj(), contender{name: "two", node: "b1"}.obj())
	inTree, evicting, goOn := a.pl.evictor.Executor.PreemptPod, make(chan struct{}), make(chan struct{})
	a.pl.evictor.Executor.PreemptPod = func(ctx context.Context, c preemption.Candidate, p preemption.ExecutorPreemptor, victim *corev1.Pod, plugin string) error {
		close(evicting)
		<-goOn
		return inTree(ctx, c, p, victim, plugin)
	}
	scheduled := make(chan attempt)
	go func() { scheduled <- a.schedule("db") }()
	<-evicting
	if a.pl.PreEnqueue(t.Context(), db).IsSuccess() {
		t.Error("the pod may enter the queue while its victim is being evicted")
	}
	close(goOn)
	<-scheduled
	if status := a.pl.PreEnqueue(t.Context(), db); !status.IsSuccess() {
		t.Errorf("after the eviction: %v, want the pod to enter the queue", status)
	}
}

// TestTheQueueIsToldOfWhatEndsAnEviction holds that the plugin is asked about deleted pods. Otherwise one that PreEnqueue keeps
// out of the queue would stay out until the queue looks at everything, after five minutes.
func TestTheQueueIsToldOfWhatEndsAnEviction(t *testing.T) {
	events, err := newArena(t, arenaOptions{}).pl.EventsToRegister(t.Context())
	if err != nil {
		t.Fatalf("EventsToRegister: %v", err)
	}
	if !slices.ContainsFunc(events, func(e fwk.ClusterEventWithHint) bool {
		return e.Event.Resource == fwk.Pod && e.Event.ActionType&fwk.Delete != 0
	}) {
		t.Error("the plugin is not asked about deleted pods")
	}
}

// TestTwoDatabasesDoNotEvictEachOtherInALoop has two pods that both belong on the one node that has room for one, and a
// controller that brings back the one that is evicted.
func TestTwoDatabasesDoNotEvictEachOtherInALoop(t *testing.T) {
	const rounds = 100
	tests := map[string]struct {
		first, second contender
		wantEvictions int
	}{
		"equal, and Required":         {contender{policy: "Required"}, contender{policy: "Required"}, 0},
		"equal, and waiting":          {contender{wait: "24h"}, contender{wait: "24h"}, 0},
		"equal, Required and waiting": {contender{wait: "24h"}, contender{policy: "Required"}, 0},
		"higher, and Required":        {contender{policy: "Required"}, contender{policy: "Required", priority: 10}, 1},
		"higher, and waiting":         {contender{policy: "Required"}, contender{wait: "24h", priority: 10}, 1},
		"lower, and Required":         {contender{policy: "Required", priority: 10}, contender{policy: "Required"}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, arenaOptions{locations: map[string]drivers.Location{"data-0": inSync("a1"), "data-1": inSync("a1")}})
			databases := []contender{tc.first, tc.second}
			evictions := -len(databases)
			for round := range rounds {
				for i := range databases {
					db := &databases[i]
					db.name, db.claim, db.round = fmt.Sprintf("db-%d", i), fmt.Sprintf("data-%d", i), round
					if !slices.Contains(a.names(), db.name) {
						evictions++
						a.create(db.obj())
					}
					if a.pod(db.name).Spec.NodeName == "" {
						a.schedule(db.name)
					}
				}
				a.clock.Step(time.Second)
			}
			if evictions != tc.wantEvictions {
				t.Errorf("%d evictions in %d rounds, want %d", evictions, rounds, tc.wantEvictions)
			}
			running := a.pod("db-0").Spec.NodeName != ""
			if wantFirst := tc.wantEvictions == 0; running != wantFirst {
				t.Errorf("the first database runs: %t, want %t", running, wantFirst)
			}
		})
	}
}

func TestWhereAPodRunsIsAskedOnceInAPreemption(t *testing.T) {
	asked := map[string]int{}
	e := &evictor{next: nil, isNext: func(pod *corev1.Pod) bool { asked[pod.Name]++; return pod.Name == "b" }}
	e.reset()
	pods := []*corev1.Pod{contender{name: "a", node: "a1"}.obj(), contender{name: "b", node: "a1"}.obj(), contender{name: "c", node: "a1"}.obj()}
	for range 2 {
		slices.SortFunc(pods, func(x, y *corev1.Pod) int {
			if e.moreImportant(x, y) {
				return -1
			}
			return 1
		})
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if pods[0].Name != "b" {
		t.Errorf("the most important pod is %s, want b", pods[0].Name)
	}
	e.reset()
	e.keeps(pods[0])
	if asked["b"] != 2 {
		t.Errorf("asked %d times in two preemptions, want 2: data moves", asked["b"])
	}
}
