// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// plan checks everything that can be checked, and settles what is restored. It changes nothing but the status.
func (p *procedure) plan(ctx context.Context) (outcome, error) {
	if p.restore().Spec.Rollback {
		return outcome{}, problemf(ReasonCannotRollBack, "rollback was asked for before anything was restored")
	}
	snapshot, err := p.source.Snapshot(ctx, p.restore())
	if err != nil {
		return outcome{}, err
	}
	members, err := chosen(p.restore().Spec.InPlace, snapshot)
	if err != nil {
		return outcome{}, err
	}
	var claims []snapshotv1alpha1.RestoredClaim
	for _, member := range members {
		claim, err := p.planClaim(ctx, member)
		if err != nil {
			return outcome{}, err
		}
		claims = append(claims, *claim)
	}
	if err := roomFor(claims); err != nil {
		return outcome{}, err
	}
	status := p.status()
	status.Claims = claims
	if err := p.refuseOthers(ctx); err != nil {
		status.Claims = nil
		return outcome{}, err
	}
	if err := p.findWorkloads(ctx); err != nil {
		status.Claims = nil
		return outcome{}, err
	}
	now := metav1.NewMicroTime(p.Clock.Now())
	status.StartTime, status.SourceUID, status.Consistency = &now, snapshot.UID, snapshot.Status.Consistency
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionFalse, ReasonWaiting, "The claims are as they were")
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonWaiting, "Nothing has been replaced")
	err = p.enter(ctx, snapshotv1alpha1.RestorePopulating, ReasonPlanned, "restoring %s: making the new volumes", strings.Join(p.claimNames(), ", "))
	if err != nil {
		return outcome{}, err
	}
	for _, workload := range status.Workloads {
		if workload.Owner != "" {
			p.event(corev1.EventTypeWarning, ReasonOwned, "%s %s is going to be scaled to 0: %s", workload.Kind, workload.Name, workload.Owner)
		}
	}
	return onward, nil
}

// roomFor refuses what would not fit into one object together: the API server takes no more than 1.5 MiB.
func roomFor(claims []snapshotv1alpha1.RestoredClaim) error {
	total := 0
	for i := range claims {
		total += len(claims[i].Manifest)
	}
	if total > longestManifests {
		return problemf(ReasonClaim, "the %d claims are %d bytes long, at most %d can be written down: restore them in several parts", len(claims), total, longestManifests)
	}
	return nil
}

// chosen are the members to restore: those that are named, or all. Of all, none may be missing: what is left out in silence would
// not fit the rest.
func chosen(spec *snapshotv1alpha1.InPlace, snapshot *snapshotv1alpha1.ApplicationSnapshot) ([]*snapshotv1alpha1.SnapshotMember, error) {
	var members []*snapshotv1alpha1.SnapshotMember
	known := map[string]bool{}
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		known[member.ClaimName] = true
		if len(spec.ClaimNames) > 0 && !slices.Contains(spec.ClaimNames, member.ClaimName) {
			continue
		}
		if member.State != snapshotv1alpha1.MemberReady {
			return nil, problemf(ReasonMember, "claim %s has no snapshot in %s that can be restored: name the others in claimNames", member.ClaimName, snapshot.Name)
		}
		members = append(members, member)
	}
	for _, name := range spec.ClaimNames {
		if !known[name] {
			return nil, problemf(ReasonMember, "claim %s is not in snapshot %s", name, snapshot.Name)
		}
	}
	if len(members) == 0 {
		return nil, problemf(ReasonMember, "snapshot %s has no members", snapshot.Name)
	}
	return members, nil
}

// planClaim checks a claim and its volume.
func (p *procedure) planClaim(ctx context.Context, member *snapshotv1alpha1.SnapshotMember) (*snapshotv1alpha1.RestoredClaim, error) {
	namespace := p.restore().Namespace
	claim, err := p.claim(ctx, namespace, member.ClaimName)
	if err != nil {
		return nil, err
	}
	if err := restorable(claim, member.ClaimName); err != nil {
		return nil, err
	}
	if err := p.refuseMark(ctx, claim); err != nil {
		return nil, err
	}
	volume, err := p.volume(ctx, claim.Spec.VolumeName)
	if err != nil {
		return nil, err
	}
	if err := fits(claim, volume, member); err != nil {
		return nil, err
	}
	if err := p.checkClass(ctx, claim, member); err != nil {
		return nil, err
	}
	if _, _, err := p.source.Content(ctx, namespace, member); err != nil {
		return nil, err
	}
	manifest, err := manifestOf(claim)
	if err != nil {
		return nil, err
	}
	return &snapshotv1alpha1.RestoredClaim{
		Name: claim.Name, From: member.ClaimName, VolumeSnapshotName: member.VolumeSnapshotName,
		Size: sizeOf(claim, member), StorageClassName: *claim.Spec.StorageClassName,
		TemporaryClaim: temporaryName(claim.Name, p.restore().UID),
		OldVolume:      volume.Name, OldUID: claim.UID, OldReclaimPolicy: string(volume.Spec.PersistentVolumeReclaimPolicy),
		Manifest: manifest, State: snapshotv1alpha1.ClaimPlanned,
	}, nil
}

func restorable(claim *corev1.PersistentVolumeClaim, name string) error {
	switch {
	case claim == nil:
		return problemf(ReasonClaim, "claim %s does not exist: restore it with newClaims", name)
	case !claim.DeletionTimestamp.IsZero():
		return problemf(ReasonClaim, "claim %s is being deleted", name)
	case claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "":
		return problemf(ReasonClaim, "claim %s is %s, not Bound", name, claim.Status.Phase)
	case claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "":
		return problemf(ReasonClaim, "claim %s has no StorageClass, so no volume can be made for it", name)
	}
	if owner := metav1.GetControllerOf(claim); owner != nil && owner.Kind == "Pod" {
		return problemf(ReasonClaim, "claim %s is a generic ephemeral volume of pod %s, and goes with it", name, owner.Name)
	}
	return nil
}

// refuseMark refuses a claim that is held. A plan has held nothing yet, so a mark with its own name is that of an earlier restore, which
// was removed by force: what that one left half done is for a person to look at.
func (p *procedure) refuseMark(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	holder := claim.Annotations[snapshotv1alpha1.AnnotationRestoring]
	if holder == "" {
		return nil
	}
	var err error
	if holder != p.restore().Name {
		err = p.Client.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: holder}, &snapshotv1alpha1.SnapshotRestore{})
	}
	switch {
	case holder == p.restore().Name || apierrors.IsNotFound(err):
		return problemf(ReasonHeld, "claim %s was being restored by a SnapshotRestore %s that is gone: see that all is as it should be, and take its annotation %s away",
			claim.Name, holder, snapshotv1alpha1.AnnotationRestoring)
	case err != nil:
		return fmt.Errorf("reading SnapshotRestore %s: %w", holder, err)
	}
	return problemf(ReasonHeld, "claim %s is being restored by SnapshotRestore %s", claim.Name, holder)
}

func fits(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume, member *snapshotv1alpha1.SnapshotMember) error {
	switch {
	case volume == nil:
		return problemf(ReasonClaim, "volume %s of claim %s does not exist", claim.Spec.VolumeName, claim.Name)
	case volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != claim.UID:
		return problemf(ReasonClaim, "volume %s is not bound to claim %s", volume.Name, claim.Name)
	case volume.Spec.CSI == nil || volume.Spec.CSI.Driver != member.Driver:
		return problemf(ReasonClaim, "volume %s of claim %s is not of CSI driver %s, as the snapshot is", volume.Name, claim.Name, member.Driver)
	}
	if have := modeOf(claim); member.VolumeMode != "" && member.VolumeMode != have {
		return problemf(ReasonClaim, "claim %s has volumeMode %s, its snapshot has %s", claim.Name, have, member.VolumeMode)
	}
	return nil
}

func modeOf(claim *corev1.PersistentVolumeClaim) corev1.PersistentVolumeMode {
	if claim.Spec.VolumeMode == nil {
		return corev1.PersistentVolumeFilesystem
	}
	return *claim.Spec.VolumeMode
}

func (p *procedure) checkClass(ctx context.Context, claim *corev1.PersistentVolumeClaim, member *snapshotv1alpha1.SnapshotMember) error {
	class, err := p.class(ctx, *claim.Spec.StorageClassName)
	switch {
	case err != nil:
		return err
	case class == nil:
		return problemf(ReasonClaim, "StorageClass %s of claim %s does not exist", *claim.Spec.StorageClassName, claim.Name)
	case class.Provisioner != member.Driver:
		return problemf(ReasonClaim, "StorageClass %s of claim %s is of %s, its snapshot of %s", class.Name, claim.Name, class.Provisioner, member.Driver)
	}
	return nil
}

// class is nil where there is none.
func (p *procedure) class(ctx context.Context, name string) (*storagev1.StorageClass, error) {
	class, err := restore.StorageClass(ctx, p.Client, name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading StorageClass %s: %w", name, err)
	}
	return class, nil
}

// sizeOf is the most of what the claim asks for, what it has, and what the snapshot needs.
func sizeOf(claim *corev1.PersistentVolumeClaim, member *snapshotv1alpha1.SnapshotMember) resource.Quantity {
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	for _, other := range []resource.Quantity{claim.Status.Capacity[corev1.ResourceStorage], quantity(member.RestoreSize)} {
		if other.Cmp(size) > 0 {
			size = other
		}
	}
	return size
}

func quantity(q *resource.Quantity) resource.Quantity {
	if q == nil {
		return resource.Quantity{}
	}
	return *q
}

// temporaryName is the same for a restore and a claim each time.
func temporaryName(claim string, restore types.UID) string {
	const most, hashed = 253, 8
	sum := sha256.Sum256([]byte(claim + "/" + string(restore)))
	end := "-roost-" + hex.EncodeToString(sum[:])[:hashed]
	return strings.TrimRight(cut(claim, most-len(end)), "-.") + end
}

// refuseOthers looks for other restores that are at work on the claims. The marks on the claims decide in the end; this tells
// sooner.
func (p *procedure) refuseOthers(ctx context.Context) error {
	list := &snapshotv1alpha1.SnapshotRestoreList{}
	if err := p.Client.List(ctx, list, client.InNamespace(p.restore().Namespace)); err != nil {
		return fmt.Errorf("listing SnapshotRestores of %s: %w", p.restore().Namespace, err)
	}
	names := p.claimNames()
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == p.restore().UID || other.Spec.InPlace == nil || !atWork(other.Status.Phase) {
			continue
		}
		for j := range other.Status.Claims {
			if slices.Contains(names, other.Status.Claims[j].Name) {
				return problemf(ReasonHeld, "claim %s is being restored by SnapshotRestore %s", other.Status.Claims[j].Name, other.Name)
			}
		}
	}
	return nil
}

func atWork(phase snapshotv1alpha1.RestorePhase) bool {
	switch phase {
	case snapshotv1alpha1.RestoreCompleted, snapshotv1alpha1.RestoreRolledBack, snapshotv1alpha1.RestoreFailed:
		return false
	default:
		return true
	}
}

// findWorkloads settles who is stopped.
func (p *procedure) findWorkloads(ctx context.Context) error {
	users, err := p.workloads.Of(ctx, p.restore().Namespace, p.claimNames())
	if err != nil {
		return err
	}
	if len(users.Refused) > 0 {
		return problemf(ReasonInUse, "%s", strings.Join(users.Refused, "; "))
	}
	p.status().Workloads = users.Workloads
	return nil
}
