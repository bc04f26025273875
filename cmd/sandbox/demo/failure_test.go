// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/timeline"
	"roost.dev/roost/cmd/sandbox/workload"
)

func podsOn(nodes ...string) []corev1.Pod {
	var pods []corev1.Pod
	for _, node := range nodes {
		pods = append(pods, corev1.Pod{Spec: corev1.PodSpec{NodeName: node}})
	}
	return pods
}

func TestNodeToFail(t *testing.T) {
	for name, tc := range map[string]struct {
		pods, others []corev1.Pod
		want         string
	}{
		"the one with the most pods":            {pods: podsOn("a", "b", "b", "c"), want: "b"},
		"the first by name of two":              {pods: podsOn("c", "b", "b", "c", "a"), want: "b"},
		"not one with pods of others":           {pods: podsOn("a", "b", "b"), others: podsOn("b"), want: "a"},
		"not where pods are that have no node":  {pods: podsOn("", "", "a"), want: "a"},
		"none where all have pods of others":    {pods: podsOn("a"), others: podsOn("a")},
		"none where there are no pods with one": {pods: podsOn("")},
	} {
		t.Run(name, func(t *testing.T) {
			if got := nodeToFail(tc.pods, tc.others); got != tc.want {
				t.Errorf("nodeToFail() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTimelineTableShowsWhatDidNotCome(t *testing.T) {
	want := [][]string{
		{"seconds", "fault", "verdict", "eviction", "detach", "bound", "running", "now on"},
		{"db-1", "0.0", "10.1", "10.3", "-", "12.0", "-", "b"},
	}
	fault := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	came := timeline.Timeline{Failure: timeline.Failure{Pod: "db-1"}, NewNode: "b"}
	for moment, after := range map[timeline.Moment]time.Duration{
		timeline.Fault: 0, timeline.Verdict: 10100 * time.Millisecond, timeline.Evicted: 10260 * time.Millisecond,
		timeline.Bound: 12 * time.Second, timeline.Started: 13 * time.Second,
	} {
		came.Stamps[moment] = fault.Add(after)
	}
	got := timelineTable([]timeline.Timeline{came})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestAllOnData(t *testing.T) {
	volumes := map[string]workload.Volume{"data-db-1": {Name: "pv", Nodes: []string{"a", "b"}}}
	moved := func(volume, to string) timeline.Timeline {
		return timeline.Timeline{Failure: timeline.Failure{Node: "a", Volume: volume}, NewNode: to}
	}
	for name, tc := range map[string]struct {
		timelines []timeline.Timeline
		want      bool
	}{
		"on the other copy":               {timelines: []timeline.Timeline{moved("pv", "b")}, want: true},
		"on the node that failed":         {timelines: []timeline.Timeline{moved("pv", "a")}},
		"away from the data":              {timelines: []timeline.Timeline{moved("pv", "b"), moved("pv", "c")}},
		"with a volume that nobody knows": {timelines: []timeline.Timeline{moved("other", "b")}},
		"nowhere":                         {timelines: []timeline.Timeline{moved("pv", "")}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := allOnData(tc.timelines, volumes); got != tc.want {
				t.Errorf("allOnData() = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestMovedPods(t *testing.T) {
	before := map[types.UID]string{"1": "a", "2": "b"}
	for name, tc := range map[string]struct {
		after map[types.UID]string
		want  int
	}{
		"all where they were":        {after: map[types.UID]string{"1": "a", "2": "b", "3": "c"}},
		"one made anew":              {after: map[types.UID]string{"1": "a", "3": "b"}, want: 1},
		"one with another node":      {after: map[types.UID]string{"1": "c", "2": "b"}, want: 1},
		"one gone and one elsewhere": {after: map[types.UID]string{"2": "a"}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := movedPods(before, tc.after); got != tc.want {
				t.Errorf("movedPods() = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestStorageNodeTable(t *testing.T) {
	object := &storagev1alpha1.StorageNode{
		Spec:   storagev1alpha1.StorageNodeSpec{Provisioner: "sim.example.com", NodeName: "a"},
		Status: storagev1alpha1.StorageNodeStatus{State: storagev1alpha1.HealthFailedOver, StorageState: "Offline", Volumes: 2, PodsAtRisk: 1},
	}
	want := [][]string{
		{"DRIVER", "NODE", "STATE", "STORAGE", "VOLUMES", "AT-RISK"},
		{"sim.example.com", "a", "FailedOver", "Offline", "2", "1"},
	}
	if diff := cmp.Diff(want, storageNodeTable(object)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
