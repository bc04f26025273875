// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func request(size string) corev1.VolumeResourceRequirements {
	return corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}
}

// TestAClaimIsMadeAsItWas but for what Kubernetes writes, the volume and its class of attributes, and the size.
func TestAClaimIsMadeAsItWas(t *testing.T) {
	owners := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "db"}}
	was := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "data-db-0", UID: "old", ResourceVersion: "7", Finalizers: []string{protection},
			Labels: map[string]string{"app": "db"}, OwnerReferences: owners,
			Annotations: map[string]string{
				"team": "blue", "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
				"volume.kubernetes.io/selected-node": "n1", "volume.kubernetes.io/storage-provisioner": driver,
				snapshotv1alpha1.AnnotationRestoring: "undo",
			},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(className), VolumeName: "old", Resources: request("1Gi"), VolumeAttributesClassName: ptr.To("gold"),
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			DataSource:  &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "template"},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
	manifest, err := manifestOf(was)
	if err != nil {
		t.Fatal(err)
	}
	planned := &snapshotv1alpha1.RestoredClaim{Name: "data-db-0", Manifest: manifest, NewVolume: "new", OldVolume: "old", Size: resource.MustParse("3Gi")}
	for volume, size := range map[string]string{"new": "3Gi", "old": "1Gi"} {
		got, err := claimFrom(planned, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: volume}}, "undo")
		if err != nil {
			t.Fatal(err)
		}
		want := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: "data-db-0", Labels: map[string]string{"app": "db"}, OwnerReferences: owners,
				Annotations: map[string]string{"team": "blue", snapshotv1alpha1.AnnotationRestoring: "undo"},
			},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: ptr.To(className), VolumeName: volume, Resources: request(size),
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claim for volume %s (-want +got):\n%s", volume, diff)
		}
	}
}
