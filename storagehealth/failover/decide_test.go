// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import "testing"

func TestDecide(t *testing.T) {
	tests := map[string]struct {
		view view
		want step
	}{
		"a pod on a live node is evicted":                              {view: view{attached: true}, want: evict},
		"a pod on a live node is evicted, and not removed, with proof": {view: view{attached: true, proven: true}, want: evict},
		"a pod that terminates on a live node is waited for":           {view: view{terminating: true, attached: true, proven: true}, want: wait},
		"a pod that does not terminate needs proof":                    {view: view{terminating: true, overdue: true, attached: true}, want: lackProof},
		"a pod that does not terminate is detached first":              {view: view{terminating: true, overdue: true, attached: true, proven: true}, want: detach},
		"a pod whose volumes are being detached waits":                 {view: view{terminating: true, overdue: true, attached: true, detaching: true, proven: true}, want: awaitDetach},
		"a pod whose volumes are detached is removed":                  {view: view{terminating: true, overdue: true, proven: true}, want: remove},
		"a pod on a dead node is evicted without proof where nothing can write beside it": {
			view: view{nodeDead: true, attached: true, guarded: true}, want: evict},
		"a pod on a dead node stays without proof where something could": {view: view{nodeDead: true, attached: true}, want: lackProof},
		"a pod on a dead node is not removed without proof":              {view: view{nodeDead: true, terminating: true, overdue: true, attached: true}, want: lackProof},
		"a pod on a dead node is not removed though nothing is attached": {
			view: view{nodeDead: true, terminating: true, overdue: true}, want: lackProof},
		"a pod on a dead node is told to end first": {view: view{nodeDead: true, attached: true, proven: true}, want: end},
		"a pod on a dead node that was told to end is detached": {
			view: view{nodeDead: true, terminating: true, attached: true, proven: true}, want: detach},
		"a pod that was removed and is held by finalizers is marked": {
			view: view{nodeDead: true, terminating: true, removed: true, proven: true}, want: fail},
		"a pod that somebody removed from a live node is left alone": {view: view{terminating: true, removed: true, proven: true}, want: wait},
		"a pod on a dead node that is out as a whole goes at once":   {view: view{nodeDead: true, wholeNode: true, attached: true, proven: true}, want: remove},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := decide(tc.view); got != tc.want {
				t.Errorf("decide = %d, want %d", got, tc.want)
			}
		})
	}
}

// TestDecideNeverForcesWithoutProof goes through every view there is.
func TestDecideNeverForcesWithoutProof(t *testing.T) {
	for bits := range 1 << 9 {
		is := func(bit int) bool { return bits&(1<<bit) != 0 }
		v := view{nodeDead: is(0), wholeNode: is(1), terminating: is(2), overdue: is(3), attached: is(4), detaching: is(5), proven: is(6),
			guarded: is(7), removed: is(8)}
		due := decide(v)
		forced := due == remove || due == detach || due == end || due == fail
		if forced && !v.proven {
			t.Errorf("%+v: force without proof", v)
		}
		if forced && !v.nodeDead && !v.overdue {
			t.Errorf("%+v: force on a live node whose pod may still end by itself", v)
		}
		if due == detach && !v.terminating {
			t.Errorf("%+v: the volume of a pod that is to stay is detached", v)
		}
	}
}
