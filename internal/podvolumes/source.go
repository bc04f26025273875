// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podvolumes

import (
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/drivers"
)

// VolumeOf returns the volume that a claim is bound to, whoever uses it. It is false where there is no such claim, and where
// it has no volume of a kind that drivers know.
func (r *Resolver) VolumeOf(namespace, claim string) (drivers.VolumeID, bool) {
	found, err := r.Claims.PersistentVolumeClaims(namespace).Get(claim)
	if err != nil || found.Spec.VolumeName == "" {
		return drivers.VolumeID{}, false
	}
	volume := Volume{Claim: found}
	if err := r.findVolume(&volume); err != nil || volume.PV == nil {
		return drivers.VolumeID{}, false
	}
	return volume.ID, volume.ID != (drivers.VolumeID{})
}

// Source is what a claim's volume is made from.
type Source struct {
	// Group and Kind are those of the object: "" and PersistentVolumeClaim, or snapshot.storage.k8s.io and VolumeSnapshot, and
	// with volume populators any.
	Group, Kind string
	// Namespace and Name are the object's.
	Namespace, Name string
}

// SourceOf returns what the claim's volume is made from; false where it begins empty.
func SourceOf(claim *corev1.PersistentVolumeClaim) (Source, bool) {
	switch ref, old := claim.Spec.DataSourceRef, claim.Spec.DataSource; {
	case ref != nil:
		source := Source{Group: groupOf(ref.APIGroup), Kind: ref.Kind, Namespace: claim.Namespace, Name: ref.Name}
		if ref.Namespace != nil && *ref.Namespace != "" {
			source.Namespace = *ref.Namespace
		}
		return source, true
	case old != nil:
		return Source{Group: groupOf(old.APIGroup), Kind: old.Kind, Namespace: claim.Namespace, Name: old.Name}, true
	default:
		return Source{}, false
	}
}

func groupOf(group *string) string {
	if group == nil {
		return ""
	}
	return *group
}
