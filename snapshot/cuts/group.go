// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"context"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// observeGroup reads the VolumeGroupSnapshot until it is cut and every member has its VolumeSnapshot. From then on those tell
// all there is to know.
func (c *Cutter) observeGroup(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	status := &snapshot.Status
	if status.GroupSnapshotUID == "" || !lacksSnapshots(snapshot) {
		return nil
	}
	group, gone, err := c.findGroup(ctx, snapshot)
	if err != nil {
		return err
	}
	if gone != "" {
		failAll(snapshot, gone)
		return nil
	}
	if group.Status == nil {
		return nil
	}
	// The storage system has said one thing about all: it stands with the first.
	status.Members[0].Message = ""
	if group.Status.Error != nil && group.Status.Error.Message != nil {
		status.Members[0].Message = short(*group.Status.Error.Message)
	}
	bound, err := c.groupIsBound(ctx, group)
	if err != nil || !bound {
		return err
	}
	if group.Status.CreationTime != nil {
		c.enterGroupCut(snapshot, group)
	}
	return c.mapMembers(ctx, snapshot, group)
}

// findGroup reads the VolumeGroupSnapshot, or says how it went.
func (c *Cutter) findGroup(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (*groupsnapshotv1.VolumeGroupSnapshot, string, error) {
	name := snapshot.Status.GroupSnapshotName
	group, err := c.groups.Get(ctx, claimKey(snapshot, name))
	if apierrors.IsNotFound(err) {
		return nil, fmt.Sprintf("VolumeGroupSnapshot %s was deleted", name), nil
	}
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("reading VolumeGroupSnapshot %s: %w", name, err)
	case group.UID != snapshot.Status.GroupSnapshotUID:
		return nil, fmt.Sprintf("VolumeGroupSnapshot %s was deleted", name), nil
	case group.DeletionTimestamp != nil:
		return nil, fmt.Sprintf("VolumeGroupSnapshot %s is being deleted", name), nil
	}
	return group, "", nil
}

func lacksSnapshots(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if member.VolumeSnapshotUID == "" && member.State != snapshotv1alpha1.MemberFailed {
			return true
		}
	}
	return false
}

// groupIsBound says that the group and its content are each other's.
func (c *Cutter) groupIsBound(ctx context.Context, group *groupsnapshotv1.VolumeGroupSnapshot) (bool, error) {
	if group.Status.BoundVolumeGroupSnapshotContentName == nil {
		return false, nil
	}
	name := *group.Status.BoundVolumeGroupSnapshotContentName
	content, err := c.groups.Content(ctx, name)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading VolumeGroupSnapshotContent %s: %w", name, err)
	}
	return err == nil && content.Spec.VolumeGroupSnapshotRef.UID == group.UID, nil
}

func (c *Cutter) enterGroupCut(snapshot *snapshotv1alpha1.ApplicationSnapshot, group *groupsnapshotv1.VolumeGroupSnapshot) {
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if member.State == snapshotv1alpha1.MemberCutting {
			member.State = snapshotv1alpha1.MemberCut
		}
		at := group.Status.CreationTime.Time
		c.enterCut(member, &at)
	}
}

// mapMembers finds each member's VolumeSnapshot in the group. One that is not there when the group is ready never comes.
func (c *Cutter) mapMembers(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, group *groupsnapshotv1.VolumeGroupSnapshot) error {
	if err := c.mapFrom(ctx, c.Memory, snapshot, group); err != nil {
		return err
	}
	ready := group.Status.ReadyToUse != nil && *group.Status.ReadyToUse
	if !ready || !lacksSnapshots(snapshot) {
		return nil
	}
	// Memory may be behind.
	if err := c.mapFrom(ctx, c.Client, snapshot, group); err != nil {
		return err
	}
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if member.VolumeSnapshotUID == "" {
			fail(member, fmt.Sprintf("VolumeGroupSnapshot %s is ready and has no VolumeSnapshot of this claim", group.Name))
		}
	}
	return nil
}

func (c *Cutter) mapFrom(ctx context.Context, reader client.Reader, snapshot *snapshotv1alpha1.ApplicationSnapshot, group *groupsnapshotv1.VolumeGroupSnapshot) error {
	found, err := listMembers(ctx, reader, snapshot, group)
	if err != nil {
		return err
	}
	for _, part := range found {
		claim, err := c.claimOf(ctx, snapshot, part)
		if err != nil {
			return err
		}
		for i := range snapshot.Status.Members {
			member := &snapshot.Status.Members[i]
			if member.ClaimName == claim && member.VolumeSnapshotUID == "" {
				member.VolumeSnapshotName, member.VolumeSnapshotUID = part.Name, part.UID
			}
		}
	}
	return nil
}

// listMembers lists the VolumeSnapshots that a VolumeGroupSnapshot owns.
func listMembers(ctx context.Context, reader client.Reader, snapshot *snapshotv1alpha1.ApplicationSnapshot, group *groupsnapshotv1.VolumeGroupSnapshot) ([]*snapshotv1.VolumeSnapshot, error) {
	var list snapshotv1.VolumeSnapshotList
	if err := reader.List(ctx, &list, client.InNamespace(snapshot.Namespace)); err != nil {
		return nil, fmt.Errorf("listing VolumeSnapshots of %s: %w", snapshot.Namespace, err)
	}
	var found []*snapshotv1.VolumeSnapshot
	for i := range list.Items {
		for _, owner := range list.Items[i].OwnerReferences {
			if owner.UID == group.UID {
				found = append(found, &list.Items[i])
			}
		}
	}
	return found, nil
}

// claimOf is the claim that a part of a group is of. Where the snapshot-controller did not find the PersistentVolume, the name
// is empty, and the handle of the volume tells.
func (c *Cutter) claimOf(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, part *snapshotv1.VolumeSnapshot) (string, error) {
	if name := part.Spec.Source.PersistentVolumeClaimName; name != nil && *name != "" {
		return *name, nil
	}
	if part.Status == nil || part.Status.BoundVolumeSnapshotContentName == nil {
		return "", nil
	}
	var content snapshotv1.VolumeSnapshotContent
	if err := c.Memory.Get(ctx, client.ObjectKey{Name: *part.Status.BoundVolumeSnapshotContentName}, &content); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	if content.Spec.Source.VolumeHandle == nil {
		return "", nil
	}
	return c.claimOfHandle(ctx, snapshot.Namespace, content.Spec.Driver, *content.Spec.Source.VolumeHandle)
}

func (c *Cutter) claimOfHandle(ctx context.Context, namespace, driver, handle string) (string, error) {
	var volumes corev1.PersistentVolumeList
	if err := c.Memory.List(ctx, &volumes); err != nil {
		return "", fmt.Errorf("listing PersistentVolumes: %w", err)
	}
	for i := range volumes.Items {
		source, claim := volumes.Items[i].Spec.CSI, volumes.Items[i].Spec.ClaimRef
		if source == nil || source.Driver != driver || source.VolumeHandle != handle {
			continue
		}
		if claim != nil && claim.Namespace == namespace {
			return claim.Name, nil
		}
	}
	return "", nil
}
