// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"fmt"
	"testing"
	"time"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/snapshottest"
)

// TestCrashAtEveryWrite lets each write of a run be the last that a process makes, whether it reaches the API server or not,
// and another process go on. Whenever that is, the application is thawed in the end, there is one set of snapshots or none, and
// only a run that was frozen fails for it.
func TestCrashAtEveryWrite(t *testing.T) {
	never := snapshottest.Script{Bind: time.Second, Cut: snapshottest.Never, Ready: snapshottest.Never}
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.ApplicationSnapshotSpec)
		script *snapshottest.Script
		fails  bool
	}{
		"two claims, one after the other":       {},
		"two claims, with hooks":                {change: withHooks},
		"a group":                               {change: mode(snapshotv1alpha1.ModeGroup)},
		"a group, with hooks":                   {change: both(mode(snapshotv1alpha1.ModeGroup), withHooks)},
		"each by itself":                        {change: mode(snapshotv1alpha1.ModeBestEffort)},
		"two claims that are never cut":         {script: &never, fails: true},
		"hooks, and claims that are never cut":  {change: withHooks, script: &never, fails: true},
		"a group that is never cut":             {change: mode(snapshotv1alpha1.ModeGroup), script: &never, fails: true},
		"a group with hooks that is never cut":  {change: both(mode(snapshotv1alpha1.ModeGroup), withHooks), script: &never, fails: true},
		"each by itself, and all are never cut": {change: mode(snapshotv1alpha1.ModeBestEffort), script: &never, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			play := func(crashAt int, applied bool) *world {
				w := newWorld(t)
				if tc.script != nil {
					w.controller.Default = *tc.script
				}
				w.take(tc.change)
				w.process.CrashAt, w.process.Applied = crashAt, applied
				w.pass(40 * time.Second)
				return w
			}
			w := play(0, false)
			w.wantEnd(tc.fails)
			writes := len(w.process.Writes)
			t.Logf("%d reads and %d writes: %q", w.process.Reads, writes, w.process.Writes)
			for crashAt := 1; crashAt <= writes; crashAt++ {
				for _, applied := range []bool{false, true} {
					t.Run(fmt.Sprintf("crash at write %d, applied %t", crashAt, applied), func(t *testing.T) {
						w := play(crashAt, applied)
						w.t = t
						fails := tc.fails || w.get().Status.Phase == snapshotv1alpha1.PhaseFailed
						w.wantEnd(fails)
						if fails && !tc.fails {
							w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonInterrupted)
							if w.pods.freezes > 1 {
								t.Errorf("%d freezes, want at most one", w.pods.freezes)
							}
						}
					})
				}
			}
		})
	}
}

// wantEnd wants a run that is over, with all or with nothing.
func (w *world) wantEnd(fails bool) {
	w.t.Helper()
	if fails {
		if phase := w.get().Status.Phase; phase != snapshotv1alpha1.PhaseFailed {
			w.t.Errorf("phase is %s (%s), want Failed", phase, w.get().Status.Message)
		}
		w.wantNothingLeft()
		return
	}
	snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	w.wantUntouched()
	made := w.made()
	if len(made) != 2 || snapshot.Status.Ready != "2/2" {
		w.t.Errorf("%d VolumeSnapshots and ready is %s, want one for each of the two claims", len(made), snapshot.Status.Ready)
	}
	if len(w.controller.Cuts) > 2 {
		w.t.Errorf("the storage system cut %d times, want two: %v", len(w.controller.Cuts), w.controller.Cuts)
	}
	if w.pods.freezes > 1 {
		w.t.Errorf("frozen %d times, want once", w.pods.freezes)
	}
	if snapshot.Spec.Hooks != nil && snapshot.Status.Consistency != snapshotv1alpha1.ConsistencyApplication {
		w.t.Errorf("consistency is %s, want Application", snapshot.Status.Consistency)
	}
}
