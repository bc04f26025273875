// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// What a member has room for: a status that the API server refuses ends the snapshot.
const (
	maxLabels        = 64
	maxMemberMessage = 512
)

// LabelGroupRun begins the labels that mark the claims of one run in mode Group. They are nobody's but that run's.
const LabelGroupRun = "snapshot.roost.dev/group-run-"

// add makes a member of a claim, or says why not.
func (k *check) add(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	member := memberOf(claim)
	if why := notThere(claim); why != "" {
		k.skip(claim, member, why)
		return nil
	}
	if by := RestoredBy(claim, k.snapshot); by != "" {
		// In mode BestEffort too: this passes.
		k.problem(ReasonRestoring, "claim %s is being restored in place by SnapshotRestore %s", claim.Name, by)
		return nil
	}
	var volume corev1.PersistentVolume
	err := k.Memory.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, &volume)
	switch {
	case apierrors.IsNotFound(err):
		k.skip(claim, member, fmt.Sprintf("claim %s is bound to PersistentVolume %s, which does not exist", claim.Name, claim.Spec.VolumeName))
		return nil
	case err != nil:
		return fmt.Errorf("reading PersistentVolume %s: %w", claim.Spec.VolumeName, err)
	case volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != claim.UID:
		k.skip(claim, member, fmt.Sprintf("claim %s is bound to PersistentVolume %s, which is not bound to it", claim.Name, volume.Name))
		return nil
	case volume.Spec.CSI == nil:
		k.failed(member, Problem{Reason: ReasonNotSnapshottable, Message: fmt.Sprintf(
			"claim %s: no CSI driver has its PersistentVolume %s, and only CSI volumes have snapshots", claim.Name, volume.Name)})
		return nil
	}
	member.Driver = volume.Spec.CSI.Driver
	if k.isGroup() {
		k.plan.Members = append(k.plan.Members, member)
		return nil
	}
	return k.addClass(ctx, member)
}

// addClass gives a member the class of its driver.
func (k *check) addClass(ctx context.Context, member snapshotv1alpha1.SnapshotMember) error {
	found, ok := k.classes[member.Driver]
	if !ok {
		var err error
		if found, err = k.class(ctx, member.Driver); err != nil {
			return err
		}
		k.classes[member.Driver] = found
	}
	if found.notServed {
		return nil
	}
	if found.problem != "" {
		k.failed(member, Problem{Reason: ReasonNoClass, Message: fmt.Sprintf("claim %s: %s", member.ClaimName, found.problem)})
		return nil
	}
	member.VolumeSnapshotClassName = found.class
	k.plan.Members = append(k.plan.Members, member)
	return nil
}

// skip leaves a claim out that a selector took. One that was named is missed.
func (k *check) skip(claim *corev1.PersistentVolumeClaim, member snapshotv1alpha1.SnapshotMember, why string) {
	if k.snapshot.Spec.Selector != nil {
		k.plan.LeftOut = append(k.plan.LeftOut, LeftOut{Claim: claim, Reason: why})
		return
	}
	k.failed(member, Problem{Reason: ReasonClaimNotBound, Message: why})
}

// RestoredBy names the SnapshotRestore that replaces the volume of a claim, if there is one: it is neither the old content nor
// the new. The snapshot that the restore itself takes before is of the old.
func RestoredBy(claim *corev1.PersistentVolumeClaim, snapshot *snapshotv1alpha1.ApplicationSnapshot) string {
	by := claim.Annotations[snapshotv1alpha1.AnnotationRestoring]
	if snapshot.Labels[snapshotv1alpha1.LabelRestore] != "" && snapshot.Annotations[snapshotv1alpha1.AnnotationRestoredBy] == by {
		return ""
	}
	return by
}

// notThere says why a claim has no volume to take a snapshot of, or that it is going.
func notThere(claim *corev1.PersistentVolumeClaim) string {
	switch {
	case claim.Labels[snapshotv1alpha1.LabelTemporary] != "":
		return fmt.Sprintf("claim %s is temporary, and belongs to SnapshotRestore %s", claim.Name, claim.Annotations[snapshotv1alpha1.AnnotationRestoredBy])
	case claim.DeletionTimestamp != nil:
		return fmt.Sprintf("claim %s is being deleted", claim.Name)
	case claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "":
		return fmt.Sprintf("claim %s is %s, not Bound", claim.Name, claim.Status.Phase)
	default:
		return ""
	}
}

func memberOf(claim *corev1.PersistentVolumeClaim) snapshotv1alpha1.SnapshotMember {
	member := snapshotv1alpha1.SnapshotMember{
		ClaimName: claim.Name, ClaimUID: claim.UID, State: snapshotv1alpha1.MemberPlanned,
		StorageClassName: classOf(claim), AccessModes: claim.Spec.AccessModes, Labels: maps.Clone(claim.Labels),
		VolumeMode: corev1.PersistentVolumeFilesystem,
	}
	if claim.Spec.VolumeMode != nil {
		member.VolumeMode = *claim.Spec.VolumeMode
	}
	capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]
	if !ok {
		capacity = claim.Spec.Resources.Requests[corev1.ResourceStorage]
	}
	member.Capacity = &capacity
	maps.DeleteFunc(member.Labels, func(name, _ string) bool { return strings.HasPrefix(name, LabelGroupRun) })
	fewer(member.Labels)
	return member
}

// fewer leaves the labels that there is room for, the first by name.
func fewer(labels map[string]string) {
	if len(labels) <= maxLabels {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(labels))[maxLabels:] {
		delete(labels, name)
	}
}

func classOf(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.StorageClassName == nil {
		return ""
	}
	return *claim.Spec.StorageClassName
}
