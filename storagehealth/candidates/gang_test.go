// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
)

// newGang is a world where db-0 and db-1 on node-1, db-2 on node-2 and db-3 on node-3 are the PodGroup train, which needs minMember.
func newGang(minMember int32, policy managerv1alpha1.GangPolicy) *world {
	w := newWorld()
	w.options.GangPolicy = policy
	w.groups.minMember = map[string]int32{"train": minMember}
	w.pods = []*corev1.Pod{makePod("db-1", "node-1", "data"), makePod("db-2", "node-2"), makePod("db-3", "node-3")}
	inGroup(w.db)
	for _, pod := range w.pods {
		inGroup(pod)
	}
	return w
}

func inGroup(pod *corev1.Pod) *corev1.Pod {
	pod.Labels[schedulingv1alpha1.PodGroupLabel] = "train"
	return pod
}

// outcome is what a test compares of a Candidate.
type outcome struct {
	Name    string
	Refusal Refusal
	Gang    []string
}

func outcomes(found []Candidate) []outcome {
	var all []outcome
	for i := range found {
		o := outcome{Name: found[i].Pod.Name, Refusal: found[i].Refusal}
		for _, pod := range found[i].Gang {
			o.Gang = append(o.Gang, pod.Name)
		}
		all = append(all, o)
	}
	return all
}

var (
	free    = []outcome{{Name: "db-0"}, {Name: "db-1"}}
	waiting = Refusal{GangWouldBreak, "PodGroup train needs 3 running pods and would have 2; with gangPolicy Wait its pods on node-1 stay until more run elsewhere"}
	waits   = []outcome{{Name: "db-0", Refusal: waiting}, {Name: "db-1", Refusal: waiting}}
	whole   = []outcome{{Name: "db-0", Gang: []string{"db-2", "db-3"}}, {Name: "db-1", Gang: []string{"db-2", "db-3"}}}
)

func cannotMove(why string) []outcome {
	refusal := Refusal{GangWouldBreak, "PodGroup train needs 3 running pods and would have 2, and cannot be moved as a whole: " + why}
	return []outcome{{Name: "db-0", Refusal: refusal}, {Name: "db-1", Refusal: refusal}}
}

type gangTest struct {
	minMember int32
	policy    managerv1alpha1.GangPolicy
	change    func(*world)
	want      []outcome
}

func runGangs(t *testing.T, tests map[string]gangTest) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newGang(tc.minMember, tc.policy)
			if tc.change != nil {
				tc.change(w)
			}
			if diff := cmp.Diff(tc.want, outcomes(w.onNode(t))); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
			if w.groups.gets != 1 {
				t.Errorf("read PodGroups %d times, want once", w.groups.gets)
			}
		})
	}
}

func TestGangs(t *testing.T) {
	runGangs(t, map[string]gangTest{
		"enough run elsewhere":                        {2, managerv1alpha1.Wait, nil, free},
		"too few run elsewhere":                       {3, managerv1alpha1.Wait, nil, waits},
		"enough run elsewhere, and it could be moved": {2, managerv1alpha1.MoveGang, nil, free},
		"too few run elsewhere, and it can be moved":  {3, managerv1alpha1.MoveGang, nil, whole},
		"one elsewhere does not run": {
			2, managerv1alpha1.Wait, func(w *world) { w.pods[1].Status.Phase = corev1.PodPending },
			refusedAll("PodGroup train needs 2 running pods and would have 1; with gangPolicy Wait its pods on node-1 stay until more run elsewhere"),
		},
		"one elsewhere is on its way out": {
			2, managerv1alpha1.Wait, func(w *world) { deleting(w.pods[1]) },
			refusedAll("PodGroup train needs 2 running pods and would have 1; with gangPolicy Wait its pods on node-1 stay until more run elsewhere"),
		},
		"one of another group does not count": {
			3, managerv1alpha1.Wait, func(w *world) {
				w.pods = append(w.pods, makePod("stranger", "node-3"))
				w.pods[3].Labels[schedulingv1alpha1.PodGroupLabel] = "plane"
			}, waits,
		},
		"one of another namespace does not count": {
			3, managerv1alpha1.Wait, func(w *world) {
				w.pods = append(w.pods, inGroup(makePod("stranger", "node-3")))
				w.pods[3].Namespace = "other"
			}, waits,
		},
		"one that stays here counts": {
			3, managerv1alpha1.Wait, func(w *world) { annotate(w.pods[0], "Disabled") },
			[]outcome{{Name: "db-0"}, {Name: "db-1", Refusal: Refusal{FailoverDisabled, "annotation roost.dev/failover of the pod is Disabled"}}},
		},
		"one that goes already does not count, and is not held": {
			3, managerv1alpha1.Wait, func(w *world) { deleting(w.pods[0]) },
			[]outcome{{Name: "db-0", Refusal: waiting}, {Name: "db-1"}},
		},
	})
}

func refusedAll(message string) []outcome {
	refusal := Refusal{GangWouldBreak, message}
	return []outcome{{Name: "db-0", Refusal: refusal}, {Name: "db-1", Refusal: refusal}}
}

var movingTests = map[string]gangTest{
	"one elsewhere is a DaemonSet's": {
		3, managerv1alpha1.MoveGang, func(w *world) { w.pods[1].OwnerReferences[0].Kind = "DaemonSet" },
		cannotMove("pod db-2 has to stay: the pod is the node's own of DaemonSet db, and could run on no other node"),
	},
	"one elsewhere is nobody's": {
		3, managerv1alpha1.MoveGang, func(w *world) { w.pods[2].OwnerReferences = nil },
		cannotMove("pod db-3 has to stay: no controller would make the pod again; delete it by hand if it can be spared"),
	},
	"one elsewhere is Disabled": {
		3, managerv1alpha1.MoveGang, func(w *world) { annotate(w.pods[1], "Disabled") },
		cannotMove("pod db-2 has to stay: annotation roost.dev/failover of the pod is Disabled"),
	},
	"one elsewhere has a claim that is Disabled": {
		3, managerv1alpha1.MoveGang, func(w *world) {
			logs := w.data.DeepCopy()
			logs.Name = "logs"
			annotate(logs, "Disabled")
			w.pods[1].Spec.Volumes = append(w.pods[1].Spec.Volumes, claimVolume("logs"))
			w.objects = append(w.objects, logs)
		},
		cannotMove("pod db-2 has to stay: annotation roost.dev/failover of claim logs is Disabled"),
	},
	"one elsewhere has its only copy there, and may come back to it": {3, managerv1alpha1.MoveGang, func(w *world) {
		w.pods[1].Spec.Volumes = append(w.pods[1].Spec.Volumes, claimVolume("missing"))
	}, whole},
	"one here has to stay": {
		2, managerv1alpha1.MoveGang, func(w *world) {
			w.pods[2].Status.Phase = corev1.PodSucceeded
			w.groups.minMember["train"] = 3
			annotate(w.pods[0], "Disabled")
		},
		[]outcome{
			{Name: "db-0", Refusal: Refusal{GangWouldBreak, "PodGroup train needs 3 running pods and would have 2, and cannot be moved as a whole: " +
				"pod db-1 has to stay: annotation roost.dev/failover of the pod is Disabled"}},
			{Name: "db-1", Refusal: Refusal{FailoverDisabled, "annotation roost.dev/failover of the pod is Disabled"}},
		},
	},
	"one here has no volume of the provisioner": {3, managerv1alpha1.MoveGang, func(w *world) {
		w.pods[1].Spec.NodeName, w.pods[2].Status.Phase = "node-1", corev1.PodSucceeded
		w.groups.minMember["train"] = 2
	}, []outcome{{Name: "db-0", Gang: []string{"db-2"}}, {Name: "db-1", Gang: []string{"db-2"}}}},
	"one here without such a volume came after the failure": {3, managerv1alpha1.MoveGang, func(w *world) {
		boundAt(w.pods[1], failedSince.Add(time.Second)).Spec.NodeName = "node-1"
		w.pods[2].Status.Phase = corev1.PodSucceeded
		w.groups.minMember["train"] = 2
	}, []outcome{{Name: "db-0", Gang: []string{"db-2"}}, {Name: "db-1", Gang: []string{"db-2"}}}},
	"one here has a claim that is missing": {
		3, managerv1alpha1.MoveGang, func(w *world) {
			w.pods[2].Status.Phase = corev1.PodSucceeded
			w.pods[0].Spec.Volumes = append(w.pods[0].Spec.Volumes, claimVolume("logs"))
		},
		[]outcome{
			{Name: "db-0", Refusal: Refusal{GangWouldBreak, "PodGroup train needs 3 running pods and would have 2, and cannot be moved as a whole: " +
				"pod db-1 has to stay: claim logs of the pod does not exist: elsewhere the pod could not start"}},
			{Name: "db-1", Refusal: Refusal{ClaimNotBound, "claim logs of the pod does not exist: elsewhere the pod could not start"}},
		},
	},
	"one elsewhere has been moved already": {3, managerv1alpha1.MoveGang, func(w *world) {
		boundAt(w.pods[1], failedSince.Add(time.Second))
		w.groups.minMember["train"] = 3
	}, []outcome{{Name: "db-0", Gang: []string{"db-3"}}, {Name: "db-1", Gang: []string{"db-3"}}}},
	"one elsewhere is on its way out": {2, managerv1alpha1.MoveGang, func(w *world) { deleting(w.pods[1]) },
		[]outcome{{Name: "db-0", Gang: []string{"db-3"}}, {Name: "db-1", Gang: []string{"db-3"}}}},
	"one has no node yet": {2, managerv1alpha1.MoveGang, func(w *world) { w.pods[1].Spec.NodeName, w.pods[1].Status.Phase = "", corev1.PodPending },
		[]outcome{{Name: "db-0", Gang: []string{"db-3"}}, {Name: "db-1", Gang: []string{"db-3"}}}},
}

func TestMovingAGang(t *testing.T) { runGangs(t, movingTests) }

// TestBeside has two candidates of a group on the node, which know of each other where the group is moved as a whole, and only
// there.
func TestBeside(t *testing.T) {
	for policy, want := range map[managerv1alpha1.GangPolicy]map[string][]string{
		managerv1alpha1.MoveGang: {"db-0": {"db-1"}, "db-1": {"db-0"}},
		managerv1alpha1.Wait:     {"db-0": nil, "db-1": nil},
	} {
		got := map[string][]string{}
		for _, candidate := range newGang(3, policy).onNode(t) {
			var beside []string
			for _, other := range candidate.Beside {
				beside = append(beside, other.Pod.Name)
			}
			got[candidate.Pod.Name] = beside
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: beside (-want +got):\n%s", policy, diff)
		}
	}
}

func TestPodGroupsThatCannotBeRead(t *testing.T) {
	unknown := func(reason string) []outcome {
		refusal := Refusal{GangUnknown, "PodGroup train could not be read (" + reason + "), and will be read again; see the log of the controller manager"}
		return []outcome{{Name: "db-0", Refusal: refusal}, {Name: "db-1", Refusal: refusal}}
	}
	group := schedulingv1alpha1.Resource("podgroups")
	failing := func(err error) func(*world) { return func(w *world) { w.groups.err = err } }
	runGangs(t, map[string]gangTest{
		"there is none":           {4, managerv1alpha1.Wait, func(w *world) { w.groups.minMember = nil }, free},
		"the cluster has no such": {4, managerv1alpha1.Wait, failing(&meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "PodGroup"}}), free},
		"forbidden":               {1, managerv1alpha1.Wait, failing(apierrors.NewForbidden(group, "train", nil)), unknown("Forbidden")},
		"no answer":               {1, managerv1alpha1.Wait, failing(errors.New("read tcp 10.0.0.1:34567: connection reset by peer")), unknown("the API server did not answer")},
	})
}

func TestPodGroupsAreReadOnlyForWhatCouldBeMoved(t *testing.T) {
	for name, change := range map[string]func(*world){
		"no label":           func(w *world) { delete(w.db.Labels, schedulingv1alpha1.PodGroupLabel) },
		"refused anyhow":     func(w *world) { w.locations["data"] = drivers.Answer{Knowledge: drivers.TooOld} },
		"on its way already": func(w *world) { deleting(w.db) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.groups.minMember = map[string]int32{"train": 9}
			inGroup(w.db)
			change(w)
			w.onNode(t)
			if w.groups.gets != 0 {
				t.Errorf("read PodGroups %d times, want never", w.groups.gets)
			}
		})
	}
}

func TestTheEndOfTheContextIsAnError(t *testing.T) {
	w := newGang(3, managerv1alpha1.Wait)
	w.groups.err = context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.finder(t).OnNode(ctx, csi, "node-1", failedSince); !errors.Is(err, context.Canceled) {
		t.Errorf("OnNode = %v, want %v", err, context.Canceled)
	}
}
