// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func TestWhatASnapshotWithoutHooksIsWorth(t *testing.T) {
	two := []snapshotv1alpha1.SnapshotMember{{ClaimName: "data"}, {ClaimName: "log"}}
	for name, tc := range map[string]struct {
		labels  map[string]string
		mode    snapshotv1alpha1.Mode
		members []snapshotv1alpha1.SnapshotMember
		want    snapshotv1alpha1.Consistency
	}{
		"one claim":                {mode: snapshotv1alpha1.ModeSequential, members: two[:1], want: snapshotv1alpha1.ConsistencyCrash},
		"two, one after the other": {mode: snapshotv1alpha1.ModeSequential, members: two, want: snapshotv1alpha1.ConsistencyUnknown},
		"two, each by itself":      {mode: snapshotv1alpha1.ModeBestEffort, members: two, want: snapshotv1alpha1.ConsistencyUnknown},
		"two at one instant":       {mode: snapshotv1alpha1.ModeGroup, members: two, want: snapshotv1alpha1.ConsistencyCrash},
		"two that a restore in place has stopped": {
			labels: map[string]string{snapshotv1alpha1.LabelRestore: "uid"}, mode: snapshotv1alpha1.ModeSequential, members: two,
			want: snapshotv1alpha1.ConsistencyCrash,
		},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Labels: tc.labels}}
			snapshot.Spec.Mode, snapshot.Status.Members = tc.mode, tc.members
			if got := unfrozen(snapshot); got != tc.want {
				t.Errorf("worth %s, want %s", got, tc.want)
			}
		})
	}
}
