// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func TestPhases(t *testing.T) {
	p := &phases{}
	p.saw("", after(0).Time)
	p.saw(snapshotv1alpha1.RestorePopulating, after(100).Time)
	p.saw(snapshotv1alpha1.RestorePopulating, after(900).Time)
	p.saw(snapshotv1alpha1.RestoreStopping, after(2100).Time)
	p.saw(snapshotv1alpha1.RestoreCompleted, after(2600).Time)
	want := [][]string{{"seconds", "Populating", "Stopping"}, {"back", "2.0", "0.5"}}
	if diff := cmp.Diff(want, p.table("back")); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if got := p.beginOf(snapshotv1alpha1.RestoreStopping); !got.Equal(after(2100).Time) {
		t.Errorf("Stopping began at %s", got)
	}
	if got := p.beginOf(snapshotv1alpha1.RestoreSecuring); !got.IsZero() {
		t.Errorf("Securing began at %s, but never did", got)
	}
}
