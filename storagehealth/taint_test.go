// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

// setNode writes a node to the API server, and has a new controller know it.
func (w *world) setNode(node *corev1.Node) {
	w.t.Helper()
	if _, err := w.kube.CoreV1().Nodes().Update(w.t.Context(), node, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	live := w.liveNode(node.Name)
	live.Spec = node.Spec
	if err := w.client.Update(w.t.Context(), live); err != nil {
		w.t.Fatal(err)
	}
	live.Status = node.Status
	if err := w.client.Status().Update(w.t.Context(), live); err != nil {
		w.t.Fatal(err)
	}
	w.restart()
}

func (w *world) liveNode(name string) *corev1.Node {
	w.t.Helper()
	live := &corev1.Node{}
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Name: name}, live); err != nil {
		w.t.Fatal(err)
	}
	return live
}

func makeTainted(name, value string, ready corev1.ConditionStatus) *corev1.Node {
	node := makeNode(name)
	node.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Value: value, Effect: corev1.TaintEffectNoSchedule}}
	node.Status.Conditions[0].Status = ready
	return node
}

// TestNoVerdictNoTaint has our taint on a node whose storage is well: it is left over from before.
func TestNoVerdictNoTaint(t *testing.T) {
	w := newWorld(t)
	w.setNode(makeTainted("node-0", failover.TaintValue, corev1.ConditionTrue))
	w.setNode(makeTainted("node-1", "nodeshutdown", corev1.ConditionTrue))
	w.pass(2 * time.Second)
	w.reconcile(keyOn("node-0"))
	w.reconcile(keyOn("node-1"))
	for name, want := range map[string]int{"node-0": 0, "node-1": 1} {
		if got := len(w.liveNode(name).Spec.Taints); got != want {
			t.Errorf("%s has %d taints, want %d", name, got, want)
		}
	}
}

// TestTaintOfAFailedNode has our taint on a node whose storage is and stays Offline, so that pods may be moved away from it,
// and a person's taint in its place. What the node's own event leads to is enough.
func TestTaintOfAFailedNode(t *testing.T) {
	for name, tc := range map[string]struct {
		ready corev1.ConditionStatus
		mode  managerv1alpha1.Mode
		value string
		want  int
	}{
		"stays while the node is dead":             {ready: corev1.ConditionUnknown, mode: managerv1alpha1.Enforce, value: failover.TaintValue, want: 1},
		"goes when the node is Ready again":        {ready: corev1.ConditionTrue, mode: managerv1alpha1.Enforce, value: failover.TaintValue},
		"goes when it is a dry run by now":         {ready: corev1.ConditionUnknown, mode: managerv1alpha1.DryRun, value: failover.TaintValue},
		"is a person's to remove from a live node": {ready: corev1.ConditionTrue, mode: managerv1alpha1.Enforce, value: "nodeshutdown", want: 1},
		"is a person's to remove after a dry run":  {ready: corev1.ConditionUnknown, mode: managerv1alpha1.DryRun, value: "nodeshutdown", want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(5 * time.Second)
			w.states["node-0"] = drivers.Offline
			w.pass(15 * time.Second)
			w.config.Failover.Mode = tc.mode
			w.setNode(makeTainted("node-0", tc.value, tc.ready))
			w.controller.board.Evaluate()
			if _, may := w.controller.mayMove(keyOn("node-0"))("node-0", nil); !may {
				t.Fatal("a brake holds, and takes the taint off in any case")
			}
			w.reconcile(verdict.Key{Node: "node-0"})
			if got := len(w.liveNode("node-0").Spec.Taints); got != tc.want {
				t.Errorf("%d taints, want %d; writes %q", got, tc.want, w.writes)
			}
		})
	}
}
