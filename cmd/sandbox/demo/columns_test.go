// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func TestSnapshotColumns(t *testing.T) {
	object := cutAt()
	object.Status.Phase, object.Status.Ready = snapshotv1alpha1.PhaseReady, "2/2"
	object.Status.Consistency, object.Status.CutTime = snapshotv1alpha1.ConsistencyApplication, after(2000)
	want := [][]string{
		{"NAME", "PHASE", "READY", "CONSISTENCY", "CUT", "AGE"},
		{"snap", "Ready", "2/2", "Application", "4s", "6s"},
	}
	if diff := cmp.Diff(want, snapshotColumns(object, midday.Add(6*time.Second))); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestRestoreColumnsOfOneThatIsNotDone(t *testing.T) {
	object := shopRestore("back", snapshotv1alpha1.SnapshotRestoreSpec{})
	object.CreationTimestamp = metav1.NewTime(midday)
	object.Status.Phase = snapshotv1alpha1.RestoreSwapping
	want := [][]string{
		{"NAME", "SNAPSHOT", "PHASE", "CONSISTENCY", "COMPLETED", "AGE"},
		{"back", snapshotName, "Swapping", "", "", "3m"},
	}
	if diff := cmp.Diff(want, restoreColumns(object, midday.Add(180*time.Second))); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
