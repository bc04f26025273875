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
}
