// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// longestManifest is how much of one a status has room for, longestManifests of all together.
const (
	longestManifest  = 16 << 10
	longestManifests = 512 << 10
)

// bound are the annotations that Kubernetes writes when it binds a claim, and writes again.
var bound = []string{
	"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller",
	"volume.kubernetes.io/selected-node", "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner",
	snapshotv1alpha1.AnnotationRestoring,
}

// manifestOf is the claim as somebody would create it again: without what Kubernetes and this restore wrote. The volume is not
// named, nor what it was made from.
func manifestOf(claim *corev1.PersistentVolumeClaim) (string, error) {
	kept := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: claim.Name, Labels: claim.Labels, OwnerReferences: claim.OwnerReferences,
		},
		Spec: *claim.Spec.DeepCopy(),
	}
	for key, value := range claim.Annotations {
		metav1.SetMetaDataAnnotation(&kept.ObjectMeta, key, value)
	}
	for _, key := range bound {
		delete(kept.Annotations, key)
	}
	kept.Spec.VolumeName, kept.Spec.DataSource, kept.Spec.DataSourceRef = "", nil, nil
	text, err := json.Marshal(kept)
	if err != nil {
		return "", fmt.Errorf("writing down claim %s: %w", claim.Name, err)
	}
	if len(text) > longestManifest {
		return "", problemf(ReasonClaim, "claim %s is %d bytes long, at most %d can be written down: shorten its annotations", claim.Name, len(text), longestManifest)
	}
	return string(text), nil
}

// claimFrom is the claim of a manifest, for a volume. It is held until the restore is at its end.
func claimFrom(claim *snapshotv1alpha1.RestoredClaim, volume *corev1.PersistentVolume, restore string) (*corev1.PersistentVolumeClaim, error) {
	made := &corev1.PersistentVolumeClaim{}
	if err := json.Unmarshal([]byte(claim.Manifest), made); err != nil {
		return nil, fmt.Errorf("reading what claim %s was: %w", claim.Name, err)
	}
	made.Status = corev1.PersistentVolumeClaimStatus{}
	metav1.SetMetaDataAnnotation(&made.ObjectMeta, snapshotv1alpha1.AnnotationRestoring, restore)
	made.Spec.VolumeName = volume.Name
	// Another one than the volume's is not bound to it.
	made.Spec.VolumeAttributesClassName = volume.Spec.VolumeAttributesClassName
	if volume.Name == claim.NewVolume && claim.Size.Cmp(made.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		if made.Spec.Resources.Requests == nil {
			made.Spec.Resources.Requests = corev1.ResourceList{}
		}
		made.Spec.Resources.Requests[corev1.ResourceStorage] = claim.Size
	}
	return made, nil
}
