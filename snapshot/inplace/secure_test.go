// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// TestASafetySnapshotThatSecuresNothing is Ready and lacks something. Nothing is replaced then.
func TestASafetySnapshotThatSecuresNothing(t *testing.T) {
	const lacksOne = "does not have the present state of data-db-1"
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.ApplicationSnapshotStatus)
		want   string
	}{
		"a claim is missing": {func(s *snapshotv1alpha1.ApplicationSnapshotStatus) { s.Members = s.Members[:1] }, lacksOne},
		"it has another claim for it": {
			func(s *snapshotv1alpha1.ApplicationSnapshotStatus) { s.Members[1].ClaimName = "data-db-2" }, lacksOne,
		},
		"it has another claim of that name": {
			func(s *snapshotv1alpha1.ApplicationSnapshotStatus) { s.Members[1].ClaimUID = "another" }, lacksOne,
		},
		"a member failed": {
			func(s *snapshotv1alpha1.ApplicationSnapshotStatus) {
				s.Members[1].State = snapshotv1alpha1.MemberFailed
			}, lacksOne,
		},
		"it is not ready any more": {
			func(s *snapshotv1alpha1.ApplicationSnapshotStatus) {
				meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: snapshotv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Lost"})
			}, "does not have the present state of data-db-0, data-db-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storagev1.VolumeBindingImmediate)
			w.ask()
			w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
			safety := w.safety()
			tc.change(&safety.Status)
			w.must(w.api.Status().Update(t.Context(), safety))
			w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
			w.says(tc.want)
			w.wantWorld(before)
		})
	}
}

// TestASafetySnapshotThatIsSomebodysStays: without the pin that Roost set, or with another label, it is not the restore's.
func TestASafetySnapshotThatIsSomebodysStays(t *testing.T) {
	for name, change := range map[string]func(*snapshotv1alpha1.ApplicationSnapshot){
		"the pin was taken away": func(s *snapshotv1alpha1.ApplicationSnapshot) {
			delete(s.Annotations, snapshotv1alpha1.AnnotationPinned)
		},
		"the pin is a person's": func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Annotations[snapshotv1alpha1.AnnotationPinned] = "audit"
		},
		"it is another restore's":    func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels[snapshotv1alpha1.LabelRestore] = "another" },
		"the label was taken away":   func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels = nil },
		"it was made anew meanwhile": func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels, s.Annotations = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			safety := w.safety()
			change(safety)
			w.must(w.api.Update(t.Context(), safety))
			w.clock.Step(2 * time.Hour)
			w.rounds(4)
			if w.safety() == nil {
				t.Error("the safety snapshot was deleted")
			}
			w.wantWorld(map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete"})
		})
	}
}

// TestTheSafetySnapshotIsTheRestores by its label: a snapshot of somebody else waits for the claims meanwhile.
func TestTheSafetySnapshotIsTheRestores(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	if got := w.safety().Labels[snapshotv1alpha1.LabelRestore]; got != string(w.restore().UID) {
		t.Errorf("the label is %q, want the restore's UID", got)
	}
}
