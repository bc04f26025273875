// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// snapshotOf is a ready snapshot of a claim, which was made a second after it was due, and took its time from there.
func snapshotOf(claim string, at time.Time, took time.Duration) snapshotv1alpha1.ApplicationSnapshot {
	after := func(d time.Duration) *metav1.MicroTime { return &metav1.MicroTime{Time: at.Add(d)} }
	return snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: claim + "-1", CreationTimestamp: metav1.Time{Time: at.Add(time.Second)}},
		Spec:       snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: []string{claim}},
		Status: snapshotv1alpha1.ApplicationSnapshotStatus{
			Phase: snapshotv1alpha1.PhaseReady, StartTime: after(took), CutTime: after(2 * took), ReadyTime: after(3 * took),
		},
	}
}

func TestDelaysAreFromWhenEachWasDue(t *testing.T) {
	jittered := due.Add(3 * time.Minute)
	dueAt := map[types.NamespacedName]time.Time{{Namespace: "db", Name: "a"}: due, {Namespace: "db", Name: "b"}: jittered}
	got := delaysOf([]snapshotv1alpha1.ApplicationSnapshot{
		snapshotOf("b", jittered, 4*time.Second), snapshotOf("a", due, 2*time.Second),
	}, dueAt)
	want := Delays{
		Ready: 2, Made: []time.Duration{time.Second, time.Second},
		Started:    []time.Duration{2 * time.Second, 4 * time.Second},
		Cut:        []time.Duration{4 * time.Second, 8 * time.Second},
		Restorable: []time.Duration{6 * time.Second, 12 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}

func TestDelaysTellOfWhatIsNotReady(t *testing.T) {
	dueAt := map[types.NamespacedName]time.Time{}
	var snapshots []snapshotv1alpha1.ApplicationSnapshot
	for i := range mostOthers + 2 {
		name := fmt.Sprint("a", i)
		dueAt[types.NamespacedName{Namespace: "db", Name: name}] = due
		snapshot := snapshotOf(name, due, time.Second)
		snapshot.Status.Phase, snapshot.Status.Message = snapshotv1alpha1.PhaseFailed, "the pool is full"
		snapshots = append(snapshots, snapshot)
	}
	snapshots = append(snapshots, snapshotOf("of nobody", due, time.Second))
	got := delaysOf(snapshots, dueAt)
	if got.Ready != 0 || len(got.Started) != 0 {
		t.Errorf("%d are ready with times %v, want none", got.Ready, got.Started)
	}
	if len(got.Others) != mostOthers || got.Others[0] != "db/a0-1 is Failed: the pool is full" {
		t.Errorf("of the others it says %q, want the first %d", got.Others, mostOthers)
	}
}

func TestDueTimes(t *testing.T) {
	schedules := []snapshotv1alpha1.SnapshotSchedule{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "a"}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "b"}, Status: snapshotv1alpha1.SnapshotScheduleStatus{NextRun: &metav1.Time{Time: due}}},
	}
	want := map[types.NamespacedName]time.Time{{Namespace: "db", Name: "b"}: due}
	if diff := cmp.Diff(want, dueTimes(schedules)); diff != "" {
		t.Errorf("due times (-want +got):\n%s", diff)
	}
}

func TestOverOf(t *testing.T) {
	var snapshots []snapshotv1alpha1.ApplicationSnapshot
	for _, phase := range []snapshotv1alpha1.Phase{
		"", snapshotv1alpha1.PhasePending, snapshotv1alpha1.PhaseCutting, snapshotv1alpha1.PhaseUploading, snapshotv1alpha1.PhaseReady, snapshotv1alpha1.PhaseFailed,
	} {
		snapshots = append(snapshots, snapshotv1alpha1.ApplicationSnapshot{Status: snapshotv1alpha1.ApplicationSnapshotStatus{Phase: phase}})
	}
	if got := overOf(snapshots); got != 2 {
		t.Errorf("overOf() = %d, want the one that is ready and the one that failed", got)
	}
}

func TestQuantile(t *testing.T) {
	var sorted []time.Duration
	for i := range 200 {
		sorted = append(sorted, time.Duration(i+1))
	}
	for of, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.9: 180, 0.99: 198, 1: 200} {
		if got := quantile(sorted, of); got != want {
			t.Errorf("quantile(%g) = %d, want %d", of, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing is %d, want 0", got)
	}
}
