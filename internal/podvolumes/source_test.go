// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podvolumes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"roost.dev/roost/internal/builders"
)

func TestSourceOf(t *testing.T) {
	for name, tc := range map[string]struct {
		ref  *corev1.TypedObjectReference
		old  *corev1.TypedLocalObjectReference
		want Source
	}{
		"empty": {},
		"a claim, by the old field": {
			old:  &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "x"},
			want: Source{Kind: "PersistentVolumeClaim", Namespace: builders.Namespace, Name: "x"},
		},
		"a snapshot": {
			ref:  &corev1.TypedObjectReference{APIGroup: ptr.To("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "x"},
			want: Source{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshot", Namespace: builders.Namespace, Name: "x"},
		},
		"the new field counts": {
			ref:  &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "x"},
			old:  &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "y"},
			want: Source{Kind: "PersistentVolumeClaim", Namespace: builders.Namespace, Name: "x"},
		},
		"of another namespace": {
			ref:  &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "x", Namespace: ptr.To("other")},
			want: Source{Kind: "PersistentVolumeClaim", Namespace: "other", Name: "x"},
		},
		"an empty namespace is the claim's own": {
			ref:  &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "x", Namespace: ptr.To("")},
			want: Source{Kind: "PersistentVolumeClaim", Namespace: builders.Namespace, Name: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			claim := builders.MakeClaim("new").Obj()
			claim.Spec.DataSourceRef, claim.Spec.DataSource = tc.ref, tc.old
			if got, ok := SourceOf(claim); got != tc.want || ok != (tc.want != Source{}) {
				t.Errorf("SourceOf = %+v, %t, want %+v", got, ok, tc.want)
			}
		})
	}
}
