// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func TestWakes(t *testing.T) {
	claim := func(labels, annotations map[string]string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "data", Labels: labels, Annotations: annotations}}
	}
	label, by := map[string]string{snapshotv1alpha1.LabelRestore: "x"}, map[string]string{snapshotv1alpha1.AnnotationRestoredBy: "undo"}
	undo := []types.NamespacedName{{Namespace: namespace, Name: "undo"}}
	for name, tc := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  []types.NamespacedName
	}{
		"a claim that is held":            {claim(nil, map[string]string{snapshotv1alpha1.AnnotationRestoring: "undo"}), undo},
		"a claim that was made":           {claim(label, by), undo},
		"an annotation without the label": {claim(nil, by), nil},
		"a claim that nobody is at":       {claim(nil, nil), nil},
	} {
		if diff := cmp.Diff(tc.want, RestoreOf(tc.claim)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "friday"}}
	restore := func(name, source string, phase snapshotv1alpha1.RestorePhase) snapshotv1alpha1.SnapshotRestore {
		return snapshotv1alpha1.SnapshotRestore{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       snapshotv1alpha1.SnapshotRestoreSpec{Source: snapshotv1alpha1.SnapshotSource{Name: source}, InPlace: &snapshotv1alpha1.InPlace{}},
			Status:     snapshotv1alpha1.SnapshotRestoreStatus{Phase: phase},
		}
	}
	other := restore("new", "friday", snapshotv1alpha1.RestorePending)
	other.Spec.InPlace, other.Spec.NewClaims = nil, &snapshotv1alpha1.NewClaims{}
	got := RestoresFrom(snapshot, []snapshotv1alpha1.SnapshotRestore{
		restore("undo", "friday", snapshotv1alpha1.RestorePending), restore("done", "friday", snapshotv1alpha1.RestoreCompleted),
		restore("else", "monday", snapshotv1alpha1.RestorePending), other,
	})
	if diff := cmp.Diff(undo, got); diff != "" {
		t.Errorf("restores of the snapshot (-want +got):\n%s", diff)
	}
}
