// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

func TestEvaluateReturnsWhatChangedInOrder(t *testing.T) {
	r := newRig(t, "b", "a", "c")
	other := Key{Provisioner: "a.example.com", Node: "z"}
	r.storage.say(other, drivers.Offline, "")
	r.Track(other, false, storagev1alpha1.StorageNodeStatus{})
	r.say("b", drivers.Degraded)
	r.say("a", drivers.Offline)
	changed, _ := r.Evaluate()
	if diff := cmp.Diff([]Key{other, of("a"), of("b")}, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func TestNewNodeChangesWhenItIsLookedAtFirst(t *testing.T) {
	r := newRig(t)
	for _, state := range []drivers.StorageState{drivers.Online, drivers.Unknown, drivers.Offline, drivers.Maintenance} {
		r.say(state.String(), state)
		r.Track(of(state.String()), false, storagev1alpha1.StorageNodeStatus{})
		if !r.Observe(of(state.String())) {
			t.Errorf("the first look at a node that is %s changed nothing", state)
		}
	}
}

func TestIdleBoardChangesNothing(t *testing.T) {
	states := []drivers.StorageState{drivers.Online, drivers.Degraded, drivers.StorageDown, drivers.Maintenance, drivers.Unknown}
	r := newRig(t, "failed")
	r.fail("failed")
	for _, state := range states {
		r.say(state.String(), state)
		r.Track(of(state.String()), false, storagev1alpha1.StorageNodeStatus{})
	}
	r.Evaluate()
	for i := range 1000 {
		for _, state := range states {
			r.storage.say(of(state.String()), state, fmt.Sprintf("heartbeat %d", i))
		}
		r.advance(period)
		if changed, _ := r.Evaluate(); len(changed) != 0 {
			t.Fatalf("%v changed after %s", changed, r.clock.Now().Sub(start))
		}
	}
}

func TestOneEpisodeIsAsManyChangesAsItHasStates(t *testing.T) {
	r := newRig(t, "a")
	r.say("a", drivers.Offline)
	changes := r.pass(time.Hour)
	r.say("a", drivers.Online)
	changes += r.pass(time.Hour)
	if want := 4; changes != want {
		t.Errorf("%d changes, want %d: Suspect, Unhealthy, Recovering, Healthy", changes, want)
	}
}

func TestObserve(t *testing.T) {
	r := newRig(t, "a")
	if r.Observe(of("a")) {
		t.Error("the verdict changed, though the report did not")
	}
	r.say("a", drivers.Offline)
	if !r.Observe(of("a")) {
		t.Error("the verdict did not change, though the report did")
	}
	r.wantState("a", suspect)
	if r.Observe(of("nobody")) {
		t.Error("the verdict on a node changed that is not tracked")
	}
}

func TestTrackOfAKnownKeyUpdatesMaintenanceOnly(t *testing.T) {
	r := newRig(t, "a")
	r.fail("a")
	was := r.verdict("a")
	r.Track(of("a"), false, storagev1alpha1.StorageNodeStatus{State: healthy})
	if diff := cmp.Diff(fields(was), fields(r.verdict("a"))); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
	r.Track(of("a"), true, storagev1alpha1.StorageNodeStatus{State: healthy})
	if !r.Observe(of("a")) {
		t.Error("maintenance changed nothing")
	}
	if got := r.verdict("a"); got.State != unhealthy || got.Reason != ReasonMaintenance {
		t.Errorf("%s, %s; want %s, %s", got.State, got.Reason, unhealthy, ReasonMaintenance)
	}
}

func TestForget(t *testing.T) {
	r := newRig(t, "a", "b")
	r.fail("a")
	r.Forget(of("a"))
	r.Forget(of("a"))
	if v, ok := r.Verdict(of("a")); ok {
		t.Errorf("the verdict is still there: %+v", v)
	}
	r.wantState("b", healthy)
	r.Forget(of("b"))
	if len(r.nodes) != 0 {
		t.Errorf("the board still holds %v", r.nodes)
	}
	r.Track(of("a"), false, storagev1alpha1.StorageNodeStatus{})
	r.wantState("a", healthy)
}

func TestSetFailedOver(t *testing.T) {
	for state := range lastStates {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %t", state, done), func(t *testing.T) {
				r := newRig(t)
				begin := metav1.NewMicroTime(start)
				r.Track(of("a"), false, storagev1alpha1.StorageNodeStatus{State: state, Since: &begin, Reason: ReasonOffline})
				r.advance(second)
				want := r.verdict("a")
				switch {
				case state == unhealthy && done:
					want.State, want.Since = failedOver, start.Add(second)
				case state == failedOver && !done:
					want.State, want.Since = unhealthy, start.Add(second)
				}
				r.SetFailedOver(of("a"), done)
				if diff := cmp.Diff(fields(want), fields(r.verdict("a"))); diff != "" {
					t.Errorf("verdict (-want +got):\n%s", diff)
				}
			})
		}
	}
	newRig(t).SetFailedOver(of("nobody"), true)
}

func TestFailedOverStaysWhileBad(t *testing.T) {
	r := newRig(t, "a")
	r.fail("a")
	r.SetFailedOver(of("a"), true)
	if changes := r.pass(time.Hour); changes != 0 {
		t.Errorf("%d changes, want none", changes)
	}
	r.wantState("a", failedOver)
}

func TestBoardIsSafeForConcurrentUse(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := of(fmt.Sprintf("node-%d", i%4))
			for j := range 200 {
				r.storage.say(key, drivers.StorageState(j%6), "")
				r.Track(key, j%7 == 0, storagev1alpha1.StorageNodeStatus{})
				r.Observe(key)
				r.Evaluate()
				r.MayMove(key)
				r.SetFailedOver(key, j%2 == 0)
				r.Brakes(vendor)
				r.Verdict(key)
				r.Forget(key)
			}
		})
	}
	wg.Wait()
	r.wantState("a", healthy)
}
