// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/hooks"
	"roost.dev/roost/snapshot/snapshottest"
)

func TestWhatASnapshotIsCalled(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*snapshotv1alpha1.ApplicationSnapshotSpec)
		ahead   time.Duration
		notHeld string
		want    snapshotv1alpha1.Consistency
	}{
		"two claims one after the other":         {want: snapshotv1alpha1.ConsistencyUnknown},
		"each by itself":                         {change: mode(snapshotv1alpha1.ModeBestEffort), want: snapshotv1alpha1.ConsistencyUnknown},
		"one claim":                              {change: func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.ClaimNames = []string{"a"} }, want: snapshotv1alpha1.ConsistencyCrash},
		"a group":                                {change: mode(snapshotv1alpha1.ModeGroup), want: snapshotv1alpha1.ConsistencyCrash},
		"hooks that held":                        {change: withHooks, want: snapshotv1alpha1.ConsistencyApplication},
		"hooks that held, and each by itself":    {change: both(withHooks, mode(snapshotv1alpha1.ModeBestEffort)), want: snapshotv1alpha1.ConsistencyApplication},
		"hooks that did not hold":                {change: withHooks, notHeld: "pod db-0 was started anew", want: snapshotv1alpha1.ConsistencyUnknown},
		"a group whose hooks did not hold":       {change: both(withHooks, mode(snapshotv1alpha1.ModeGroup)), notHeld: "pod db-0 was started anew", want: snapshotv1alpha1.ConsistencyCrash},
		"a storage clock that is ahead":          {change: withHooks, ahead: time.Hour, want: snapshotv1alpha1.ConsistencyApplication},
		"a storage clock that is a little late":  {change: withHooks, ahead: -2 * time.Second, want: snapshotv1alpha1.ConsistencyApplication},
		"a snapshot from before the freeze":      {change: withHooks, ahead: -time.Hour, want: snapshotv1alpha1.ConsistencyUnknown},
		"a cut that is just before, without any": {ahead: -time.Hour, want: snapshotv1alpha1.ConsistencyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.controller.Default.ClockAhead = tc.ahead
			w.pods.notHeld = tc.notHeld
			w.take(tc.change)
			w.pass(15 * time.Second)
			snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
			if got := snapshot.Status.Consistency; got != tc.want {
				t.Errorf("consistency is %s, want %s; events %q", got, tc.want, w.events)
			}
			if at := snapshot.Status.CutTime; at == nil || at.After(w.clock.Now()) {
				t.Errorf("cut time is %v, want one that is not in the future", at)
			}
			want := []string{EventCut, EventReady}
			if snapshot.Spec.Hooks != nil && tc.want != snapshotv1alpha1.ConsistencyApplication {
				want = []string{EventCut, EventNotConsistent, EventReady}
			}
			w.wantEvents(want...)
		})
	}
}

func TestThawComesWithTheCutAndNotWhenReady(t *testing.T) {
	w := newWorld(t)
	w.controller.Default.Ready = 50 * time.Second
	w.take(withHooks)
	w.pass(10 * time.Second)
	snapshot := w.wantPhase(snapshotv1alpha1.PhaseUploading, ReasonUploading)
	if w.pods.frozen || w.pods.thawedAt.Sub(start) > 5*time.Second {
		t.Errorf("thawed at %s (frozen: %t), want right after the cut", w.pods.thawedAt, w.pods.frozen)
	}
	w.wantUntouched()
	if thawed := meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionThawed); thawed == nil || thawed.Status != metav1.ConditionTrue {
		t.Errorf("condition Thawed is %+v, want True", thawed)
	}
}

// TestLateCutIsDeletedBeforeTheThaw: else the storage system would cut after the thaw, and call it ready.
func TestLateCutIsDeletedBeforeTheThaw(t *testing.T) {
	for name, change := range map[string]func(*snapshotv1alpha1.ApplicationSnapshotSpec){
		"claims one after the other": withHooks,
		"a group":                    both(withHooks, mode(snapshotv1alpha1.ModeGroup)),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.controller.Default.Cut, w.controller.Default.Ready = 11*time.Second, 11*time.Second
			deleted := false
			w.pods.thawing = func() {
				writes := w.process.Writes
				deleted = len(writes[len(writes)-1]) > 6 && writes[len(writes)-1][:6] == "delete"
			}
			w.take(change)
			w.pass(30 * time.Second)
			w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonCutDeadline)
			if !deleted {
				t.Error("thawed before the snapshots were deleted")
			}
			if len(w.controller.Cuts) > 0 {
				t.Errorf("cut after the thaw: %v", w.controller.Cuts)
			}
			if held := w.pods.thawedAt.Sub(start); held > 12*time.Second {
				t.Errorf("frozen for %s, want at most maxFreeze", held)
			}
			w.wantNothingLeft()
			w.wantEvents(EventFailed)
		})
	}
}

func TestBestEffortKeepsWhatWasCutInTheFreeze(t *testing.T) {
	w := newWorld(t)
	w.controller.Scripts["b"] = snapshottest.Script{Cut: 11 * time.Second, Ready: 11 * time.Second}
	w.take(both(withHooks, mode(snapshotv1alpha1.ModeBestEffort)))
	w.pass(30 * time.Second)
	snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	if len(w.controller.Cuts) != 1 || w.controller.Cuts[0].Claim != "a" || len(w.made()) != 1 {
		t.Errorf("cut %v and %d are left, want a alone: b would be from after the thaw", w.controller.Cuts, len(w.made()))
	}
	if snapshot.Status.Members[1].State != snapshotv1alpha1.MemberFailed || snapshot.Status.Ready != "1/2" {
		t.Errorf("member b is %s and ready is %s, want Failed and 1/2", snapshot.Status.Members[1].State, snapshot.Status.Ready)
	}
}

func TestFreezeThatFails(t *testing.T) {
	w := newWorld(t)
	w.pods.freezeFails = errors.New("hook db: exit status 1")
	w.take(withHooks)
	w.pass(10 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonHookFailed)
	if w.creations() > 0 || w.pods.freezes != 1 || w.pods.thaws != 1 {
		t.Errorf("%d objects made, %d freezes and %d thaws; want none, one and one", w.creations(), w.pods.freezes, w.pods.thaws)
	}
	w.wantNothingLeft()
	w.wantEvents(EventFailed)
}

func TestThawThatFailsKeepsTheSnapshot(t *testing.T) {
	w := newWorld(t)
	w.pods.thawFails = true
	w.take(withHooks)
	w.pass(20 * time.Second)
	snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	thawed := meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionThawed)
	if thawed == nil || thawed.Status != metav1.ConditionFalse || thawed.Reason != ReasonNotThawed {
		t.Errorf("condition Thawed is %+v, want False for %s", thawed, ReasonNotThawed)
	}
	if w.pods.freezes != 1 || w.pods.thaws != 1 {
		t.Errorf("%d freezes and %d thaws, want one each", w.pods.freezes, w.pods.thaws)
	}
	w.wantEvents(EventCut, EventNotThawed, EventReady)
	if finalizers := snapshot.Finalizers; len(finalizers) > 0 {
		t.Errorf("finalizers %q hold what nobody thaws any more", finalizers)
	}
}

// TestEndOfTheManagerInTheFreeze ends the context while the storage system is waited for.
func TestEndOfTheManagerInTheFreeze(t *testing.T) {
	w := newWorld(t)
	w.controller.Default.Cut = snapshottest.Never
	w.take(withHooks)
	ctx, cancel := context.WithCancel(t.Context())
	play := w.clock.Play
	w.clock.Play = func() {
		play()
		if w.clock.Since(start) > 3*time.Second {
			cancel()
		}
	}
	if _, err := w.r.Reconcile(ctx, request); err == nil {
		t.Error("no error, though the status could not be written")
	}
	if w.pods.frozen || w.clock.Since(start) > 6*time.Second {
		t.Errorf("frozen is %t after %s, want a thaw at once", w.pods.frozen, w.clock.Since(start))
	}
	w.clock.Play = play
	w.restart()
	w.pass(5 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonInterrupted)
	w.wantNothingLeft()
	if w.pods.freezes != 1 {
		t.Errorf("%d freezes, want one", w.pods.freezes)
	}
}

func TestPanicInTheFreezeThaws(t *testing.T) {
	w := newWorld(t)
	w.take(withHooks)
	w.process.Fail = func(write string) error {
		if w.pods.frozen && write[:6] == "create" {
			panic("a defect")
		}
		return nil
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = w.reconcile()
		t.Error("no panic")
	}()
	if w.pods.frozen {
		t.Error("the application is frozen still")
	}
}

func TestHooksThatCannotRun(t *testing.T) {
	t.Run("until their pods are ready", func(t *testing.T) {
		w := newWorld(t)
		w.pods.planFails = &hooks.Refusal{Err: errors.New("no pod of hook db is ready")}
		w.take(withHooks)
		w.pass(10 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhasePending, ReasonHooks)
		w.pods.planFails = nil
		w.pass(10 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
		w.wantEvents(EventPending, EventCut, EventReady)
	})
	t.Run("until the deadline", func(t *testing.T) {
		w := newWorld(t)
		w.pods.planFails = &hooks.Refusal{Err: errors.New("no pod of hook db is ready")}
		w.take(withHooks)
		w.pass(30 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonHooks)
		w.wantNothingLeft()
		w.wantEvents(EventPending, EventFailed)
	})
	t.Run("while another one has the pods", func(t *testing.T) {
		w := newWorld(t)
		w.pods.refusedFirst = true
		w.take(withHooks)
		w.pass(20 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
		if w.pods.freezes != 1 {
			t.Errorf("%d freezes, want one", w.pods.freezes)
		}
	})
}
