// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"strings"
	"testing"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func TestNamesThatAScheduleGives(t *testing.T) {
	long := strings.Repeat("x", 250)
	for name, tc := range map[string]struct {
		schedule, name string
		want           bool
	}{
		"a slot's":                        {"nightly", slotName("nightly", at(newest)), true},
		"a runNow's":                      {"nightly", nowName("nightly", "today", 3), true},
		"a slot's that was cut":           {long, slotName(long, at(newest)), true},
		"a runNow's that was cut":         {long, nowName(long, "today", 3), true},
		"another schedule's":              {"nightly", slotName("nightly-db", at(newest)), false},
		"that of a schedule within":       {"nightly-db", slotName("nightly", at(newest)), false},
		"a copy's":                        {"nightly", slotName("nightly", at(newest)) + "-copy", false},
		"a person's":                      {"nightly", "nightly-before-the-upgrade", false},
		"a month that there is not":       {"nightly", "nightly-202613010000", false},
		"now with a word":                 {"nightly", "nightly-now-tomorrow", false},
		"a short one":                     {"nightly", "x", false},
		"nothing before the slot":         {"nightly", "202604302300", false},
		"another long one's that was cut": {long, slotName(strings.Repeat("x", 251), at(newest)), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isNameOf(tc.schedule, tc.name); got != tc.want {
				t.Errorf("%s of %s: %t, want %t", tc.name, tc.schedule, got, tc.want)
			}
		})
	}
}

// copied has another name, and the label of what it was copied from.
func copied(s *snapshotv1alpha1.ApplicationSnapshot) { s.Name += "-copy"; s.UID += "-copy" }

func TestACopyOfASnapshotIsNotTheSchedules(t *testing.T) {
	uncut := func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhasePending }
	for name, change := range map[string]func(*snapshotv1alpha1.ApplicationSnapshot){"that is ready": func(*snapshotv1alpha1.ApplicationSnapshot) {}, "that waits": uncut} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, keepOne, point(oldest), point(middle), point(newest, copied, change))
			w.reconcileAt("2026-05-01T01:00:00Z")
			wantNames(t, w, "202604302200", "202604302300-copy", "202605010100") // it takes no place, goes with none and holds no run up
			if got := w.schedule().Status.ReadySnapshots; got != 1 {
				t.Errorf("%d are counted as ready, want 1", got)
			}
		})
	}
}

func TestATemplateDoesNotSayWhatMadeASnapshot(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) {
		s.Spec.Template.Labels = map[string]string{snapshotv1alpha1.LabelSchedule: "other", snapshotv1alpha1.LabelRestore: "other", "team": "db"}
	})
	w.reconcileAt("2026-05-01T01:00:00Z")
	for _, snapshot := range w.snapshots() {
		if _, ok := snapshot.Labels[snapshotv1alpha1.LabelRestore]; ok || snapshot.Labels[snapshotv1alpha1.LabelSchedule] != uid || snapshot.Labels["team"] != "db" {
			t.Errorf("labels are %v", snapshot.Labels)
		}
	}
}
