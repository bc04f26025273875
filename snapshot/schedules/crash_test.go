// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

var errDown = errors.New("the API server is away")

// story is half a day of a schedule: runs, a suspension, a runNow, another deletion policy, and retention all along.
var story = []struct {
	now  string
	edit func(*snapshotv1alpha1.SnapshotScheduleSpec)
	// fails has what is being made fail.
	fails bool
}{
	{now: "2026-05-01T00:30:00Z"},
	{now: "2026-05-01T01:00:00Z"},
	{now: "2026-05-01T01:10:00Z", edit: func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.RunNow = "A" }},
	{now: "2026-05-01T02:00:00Z", fails: true},
	{now: "2026-05-01T03:00:00Z"},
	{now: "2026-05-01T03:30:00Z", edit: func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Suspend = true }},
	{now: "2026-05-01T05:30:00Z", edit: func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Suspend = false }},
	{now: "2026-05-01T06:00:00Z", edit: func(s *snapshotv1alpha1.SnapshotScheduleSpec) {
		s.DeletionPolicy = snapshotv1alpha1.DeletionPolicyDelete
	}},
	{now: "2026-05-01T08:30:00Z"},
	{now: "2026-05-01T08:40:00Z", edit: func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.RunNow = "B" }},
	{now: "2026-05-01T09:00:00Z"},
}

// play goes through the story. Where something fails, a new reconciler starts over with the same API server.
func play(t *testing.T, w *world) map[string]int {
	t.Helper()
	created := map[string]int{}
	for _, scene := range story {
		w.clock.SetTime(at(scene.now))
		if scene.edit != nil {
			w.edit(scene.edit)
		}
		for attempt := 0; ; attempt++ {
			if attempt == 20 {
				t.Fatalf("at %s it does not come to rest: %v", scene.now, w.writes)
			}
			before := len(w.writes)
			result, err := w.reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: key})
			if err != nil {
				w.restart()
				continue
			}
			if len(w.writes) == before && result.RequeueAfter > soon {
				break
			}
		}
		if scene.fails {
			w.finish(snapshotv1alpha1.PhaseFailed)
		} else {
			w.finish(snapshotv1alpha1.PhaseReady)
		}
	}
	for _, write := range w.writes {
		if name, ok := strings.CutPrefix(write, "create "); ok {
			created[strings.TrimPrefix(name, key.Name+"-")]++
		}
	}
	return created
}

func keepThree(s *snapshotv1alpha1.SnapshotSchedule) {
	s.Spec.Retention = snapshotv1alpha1.Retention{Last: 3, MinReady: 1}
}

// TestACrashAfterAnyWrite ends at every write once: it is not done, or it is done and nobody hears of it.
func TestACrashAfterAnyWrite(t *testing.T) {
	whole := newWorld(t, keepThree, point("2026-04-30T23:00:00Z"))
	want := play(t, whole)
	if len(want) != 8 {
		t.Fatalf("the story makes %v", want)
	}
	for n := range len(whole.writes) {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s, done %t", n, whole.writes[n], done), func(t *testing.T) {
				w := newWorld(t, keepThree, point("2026-04-30T23:00:00Z"))
				seen := 0
				crash := func(string) error {
					if seen++; seen == n+1 {
						return errDown
					}
					return nil
				}
				if done {
					w.after = crash
				} else {
					w.before = crash
				}
				got := play(t, w)
				if seen <= n {
					t.Fatalf("only %d writes were seen", seen)
				}
				for name, times := range got {
					if times != 1 {
						t.Errorf("%s was made %d times", name, times)
					}
				}
				compareEnds(t, whole, w, want, got)
			})
		}
	}
}

// compareEnds wants the end of the story to be the same.
func compareEnds(t *testing.T, whole, w *world, want, got map[string]int) {
	t.Helper()
	if diff := cmp.Diff(anonymous(want), anonymous(got)); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if len(w.snapshots()) != len(whole.snapshots()) {
		t.Errorf("at the end there are %v, want %v", w.names(), whole.names())
	}
	for _, snapshot := range w.snapshots() {
		if len(snapshot.OwnerReferences) != 1 {
			t.Errorf("%s has the owners %v", snapshot.Name, snapshot.OwnerReferences)
		}
	}
	// Names of runNow differ, and are in no field that is left.
	ignored := cmpopts.IgnoreFields(snapshotv1alpha1.SnapshotScheduleStatus{}, "Active", "Conditions")
	if diff := cmp.Diff(whole.schedule().Status, w.schedule().Status, ignored); diff != "" {
		t.Errorf("the status at the end (-want +got):\n%s", diff)
	}
}

// anonymous leaves out the hashes of runNow: they have the generation that was carried out before, which a crash may leave
// behind by one.
func anonymous(made map[string]int) map[string]int {
	counted := map[string]int{}
	for name, times := range made {
		if strings.HasPrefix(name, "now-") {
			name = "now"
		}
		counted[name] += times
	}
	return counted
}
