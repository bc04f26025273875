// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podvolumes

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"roost.dev/roost/drivers"
)

// Status says how far a volume of a pod could be followed.
type Status uint8

const (
	// Bound means that the claim has its PersistentVolume.
	Bound Status = iota
	// WaitingForConsumer means that the claim is bound once the pod has a node (WaitForFirstConsumer).
	WaitingForConsumer
	// WaitingForVolume means that the claim waits for a PersistentVolume, whatever the pod does.
	WaitingForVolume
	// VolumeLost means that the claim's PersistentVolume is gone, or belongs to another claim.
	VolumeLost
	// ClaimMissing means that there is no such claim.
	ClaimMissing
	// ClaimForeign means that the claim of a generic ephemeral volume is not the pod's own.
	ClaimForeign
)

// Volume is one volume of a pod that a claim stands behind.
type Volume struct {
	// Name is the volume's name in the pod.
	Name string
	// ClaimName is the claim's name, also where there is no such claim.
	ClaimName string
	// Status says which of the fields below are set.
	Status Status
	// Claim is nil where Status is ClaimMissing. It may be being deleted.
	Claim *corev1.PersistentVolumeClaim
	// PV is set where Status is Bound.
	PV *corev1.PersistentVolume
	// Class is nil where the claim has none, or where it is gone.
	Class *storagev1.StorageClass
	// ID is set where Status is Bound and the PersistentVolume is of a kind that drivers know.
	ID drivers.VolumeID
}

// Resolver follows pods' volumes.
type Resolver struct {
	Claims  corelisters.PersistentVolumeClaimLister
	PVs     corelisters.PersistentVolumeLister
	Classes storagelisters.StorageClassLister
}

// HasClaims says whether Resolve would return any volume for the pod, without looking anything up.
func HasClaims(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if ClaimName(pod, &pod.Spec.Volumes[i]) != "" {
			return true
		}
	}
	return false
}

// Resolve returns the pod's volumes that have claims, in the pod's order. The objects are the listers' own and must not be
// changed. An error is a failure of a lister, never a state of the pod's objects.
func (r *Resolver) Resolve(pod *corev1.Pod) ([]Volume, error) {
	var volumes []Volume
	for i := range pod.Spec.Volumes {
		source := &pod.Spec.Volumes[i]
		name := ClaimName(pod, source)
		if name == "" {
			continue
		}
		volume := Volume{Name: source.Name, ClaimName: name}
		if err := r.follow(pod, source.Ephemeral != nil, &volume); err != nil {
			return nil, fmt.Errorf("resolving volume %q: %w", source.Name, err)
		}
		volumes = append(volumes, volume)
	}
	return volumes, nil
}

// ClaimName is the claim behind a volume of a pod, by name or as a generic ephemeral volume. Empty is none.
func ClaimName(pod *corev1.Pod, source *corev1.Volume) string {
	switch {
	case source.PersistentVolumeClaim != nil:
		return source.PersistentVolumeClaim.ClaimName
	case source.Ephemeral != nil:
		return ephemeral.VolumeClaimName(pod, source)
	default:
		return ""
	}
}

func (r *Resolver) follow(pod *corev1.Pod, isEphemeral bool, volume *Volume) error {
	claim, err := r.Claims.PersistentVolumeClaims(pod.Namespace).Get(volume.ClaimName)
	if apierrors.IsNotFound(err) {
		volume.Status = ClaimMissing
		return nil
	}
	if err != nil {
		return fmt.Errorf("getting claim %q: %w", volume.ClaimName, err)
	}
	volume.Claim = claim
	if isEphemeral && !madeFor(pod, claim) {
		volume.Status = ClaimForeign
		return nil
	}
	if err := r.findClass(volume); err != nil {
		return err
	}
	if claim.Spec.VolumeName == "" {
		volume.Status = unboundStatus(volume.Class)
		return nil
	}
	return r.findVolume(volume)
}

// madeFor says that a generic ephemeral volume's claim is the pod's own, and not one that happens to have its name.
func madeFor(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	return ephemeral.VolumeIsForPod(pod, claim) == nil
}

func (r *Resolver) findClass(volume *Volume) error {
	name := storagehelpers.GetPersistentVolumeClaimClass(volume.Claim)
	if name == "" {
		return nil
	}
	class, err := r.Classes.Get(name)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("getting StorageClass %q: %w", name, err)
	}
	volume.Class = class
	return nil
}

func unboundStatus(class *storagev1.StorageClass) Status {
	if class != nil && class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
		return WaitingForConsumer
	}
	return WaitingForVolume
}

func (r *Resolver) findVolume(volume *Volume) error {
	name := volume.Claim.Spec.VolumeName
	pv, err := r.PVs.Get(name)
	if apierrors.IsNotFound(err) {
		volume.Status = VolumeLost
		return nil
	}
	if err != nil {
		return fmt.Errorf("getting PersistentVolume %q: %w", name, err)
	}
	if !belongsTo(pv, volume.Claim) {
		volume.Status = VolumeLost
		return nil
	}
	volume.PV = pv
	volume.ID, _ = drivers.VolumeOf(pv)
	return nil
}

// belongsTo is false where the PersistentVolume is bound to another claim: one of the same name, deleted since, has
// another UID. A reference without UID is a reservation made by a person, and without any the binding is under way.
func belongsTo(pv *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	ref := pv.Spec.ClaimRef
	if ref == nil {
		return true
	}
	if ref.UID != "" {
		return ref.UID == claim.UID
	}
	return ref.Namespace == claim.Namespace && ref.Name == claim.Name
}
