// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"roost.dev/roost/cmd/sandbox/workload"
)

// newPod is a pod db-0 that runs with claim data-db-0.
func newPod(node string, changes ...func(*corev1.Pod)) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "db-0", UID: "1"},
		Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-db-0"},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, change := range changes {
		change(&pod)
	}
	return pod
}

func TestVictims(t *testing.T) {
	two := []string{"a", "b"}
	for name, tc := range map[string]struct {
		pod   corev1.Pod
		nodes []string
		free  []string
		want  []string
	}{
		"beside its data, with another copy":     {pod: newPod("a"), nodes: two, free: two, want: []string{"a", "b"}},
		"away from its data":                     {pod: newPod("c"), nodes: two, free: []string{"a", "b", "c"}, want: []string{"a", "b", "c"}},
		"whose own node is not free":             {pod: newPod("c"), nodes: two, free: two},
		"whose other copy's node is not free":    {pod: newPod("a"), nodes: two, free: []string{"a", "c"}},
		"with its only copy on its node":         {pod: newPod("a"), nodes: []string{"a"}, free: two},
		"without a node":                         {pod: newPod(""), nodes: two, free: two},
		"that is pending on its node":            {pod: newPod("a", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }), nodes: two, free: two},
		"that is about to end":                   {pod: newPod("a", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }), nodes: two, free: two},
		"without a claim of which there is news": {pod: newPod("a", func(p *corev1.Pod) { p.Spec.Volumes = nil }), nodes: two, free: two},
	} {
		t.Run(name, func(t *testing.T) {
			volumes := map[string]workload.Volume{"data-db-0": {Name: "pv", Handle: "vol-1", Nodes: tc.nodes}}
			var got []string
			for _, v := range victims([]corev1.Pod{tc.pod}, volumes, sets.New(tc.free...)) {
				got = append(got, v.nodes...)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("nodes that are taken (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVictimsAreInOrder(t *testing.T) {
	volumes := map[string]workload.Volume{"data-db-0": {Name: "pv", Handle: "vol-1", Nodes: []string{"a", "b"}}}
	named := func(name string) corev1.Pod {
		return newPod("a", func(p *corev1.Pod) { p.Name = name })
	}
	var got []string
	for _, v := range victims([]corev1.Pod{named("db-2"), named("db-0"), named("db-1")}, volumes, sets.New("a", "b")) {
		got = append(got, v.Pod)
		if v.Node != "a" || v.UID != "1" || v.Volume != "pv" || v.handle != "vol-1" {
			t.Errorf("victim is %+v, want pod 1 on node a with volume pv, vol-1", v)
		}
	}
	if diff := cmp.Diff([]string{"db-0", "db-1", "db-2"}, got); diff != "" {
		t.Errorf("victims (-want +got):\n%s", diff)
	}
}

func TestTakesPods(t *testing.T) {
	node := func(ready corev1.ConditionStatus, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{
			Spec:   corev1.NodeSpec{Taints: taints},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
		}
	}
	for name, tc := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"Ready":                    {node: node(corev1.ConditionTrue), want: true},
		"silent":                   {node: node(corev1.ConditionUnknown)},
		"Ready, but still tainted": {node: node(corev1.ConditionTrue, corev1.Taint{Key: corev1.TaintNodeUnreachable})},
		"new":                      {node: &corev1.Node{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := takesPods(tc.node); got != tc.want {
				t.Errorf("takesPods() = %t, want %t", got, tc.want)
			}
		})
	}
}
