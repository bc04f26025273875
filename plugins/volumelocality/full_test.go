// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"roost.dev/roost/drivers"
)

// TestFullNodesArePassedOver makes one attempt to place a pod of two CPUs whose data is on a1, in a rack with a2.
func TestFullNodesArePassedOver(t *testing.T) {
	tests := map[string]struct {
		running []contender
		db      contender
		change  func(*corev1.Pod)
		options arenaOptions
		// wantNode is where it goes; where nowhere, wantWhy is in what it is told.
		wantNode, wantWhy string
	}{
		"a data node with room is not":                         {wantNode: "a1"},
		"nor one with some room, where the pod needs no more":  {running: []contender{{name: "one", node: "a1", cpu: "1"}}, db: contender{cpu: "1"}, wantNode: "a1"},
		"a full one is, for its rack":                          {running: []contender{{name: "one", node: "a1"}}, wantNode: "a2"},
		"its rack is too":                                      {running: []contender{{name: "one", node: "a1"}, {name: "two", node: "a2", cpu: "1"}}, wantNode: "b1"},
		"not for a pod that waits":                             {running: []contender{{name: "one", node: "a1"}}, db: contender{wait: "1h"}, wantWhy: "waiting for room next to the data"},
		"not for one that requires its data":                   {running: []contender{{name: "one", node: "a1"}}, db: contender{policy: "Required"}, wantWhy: "volume locality is Required"},
		"not for want of what may be no resource of the node":  {change: needGPU, wantWhy: reasonWidening},
		"not by a profile in which a pod goes where it cannot": {running: []contender{{name: "one", node: "a1"}}, options: arenaOptions{withoutFit: true}, wantNode: "a1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.options.locations = map[string]drivers.Location{"data": inSync("a1")}
			a := newArena(t, tc.options)
			a.populate(tc.db, tc.change, tc.running)
			got := a.schedule("db")
			if got.Node != tc.wantNode || !strings.Contains(got.Why, tc.wantWhy) {
				t.Errorf("the attempt ended with %+v, want node %q, or to be told %q", got, tc.wantNode, tc.wantWhy)
			}
		})
	}
}

// TestWhatPassedOverNodesLackedIsTold, also where an attempt on the nodes near them fails before another one places the pod.
func TestWhatPassedOverNodesLackedIsTold(t *testing.T) {
	a := newArena(t, arenaOptions{locations: map[string]drivers.Location{"data": inSync("a1")}})
	db := contender{name: "db", claim: "data"}.obj()
	needGPU(db)
	a.nodes[2].Status.Allocatable["example.com/gpu"] = resource.MustParse("1")
	a.create(db, contender{name: "one", node: "a1"}.obj())
	for _, want := range []string{"", "b1"} {
		if got := a.schedule("db"); got.Node != want {
			t.Fatalf("the attempt ended with %+v, want node %q", got, want)
		}
	}
	select {
	case told := <-a.events.Events:
		if want := "the data nodes were tried first (1 Insufficient cpu), then all nodes"; !strings.Contains(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	default:
		t.Error("nothing was told")
	}
}

func needGPU(pod *corev1.Pod) {
	pod.Spec.Containers[0].Resources.Requests["example.com/gpu"] = resource.MustParse("1")
}
