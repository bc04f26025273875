// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"context"
	"errors"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Remove asks for the deletion of everything that was made, whether the status knows of it or not. True: nothing is left.
func (c *Cutter) Remove(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, error) {
	if isGroup(snapshot) {
		return c.removeGroup(ctx, snapshot)
	}
	return c.removeFrom(ctx, c.Client, snapshot)
}

// RemoveKnown is Remove for the VolumeSnapshots that memory has, at no cost where there are none.
func (c *Cutter) RemoveKnown(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, error) {
	return c.removeFrom(ctx, c.Memory, snapshot)
}

func (c *Cutter) removeFrom(ctx context.Context, reader client.Reader, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, error) {
	var list snapshotv1.VolumeSnapshotList
	err := reader.List(ctx, &list, client.InNamespace(snapshot.Namespace), client.MatchingLabels{snapshotv1alpha1.LabelSnapshot: string(snapshot.UID)})
	if meta.IsNoMatchError(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("listing the VolumeSnapshots of %s: %w", snapshot.Name, err)
	}
	var failures []error
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			failures = append(failures, c.remove(ctx, snapshot, list.Items[i].Name, list.Items[i].UID))
		}
	}
	return len(list.Items) == 0, errors.Join(failures...)
}

// RemoveFailed asks for the deletion of the VolumeSnapshots of members that failed alone. Those that memory does not have cost
// nothing.
func (c *Cutter) RemoveFailed(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	var failures []error
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if member.State != snapshotv1alpha1.MemberFailed || member.VolumeSnapshotUID == "" {
			continue
		}
		found := &snapshotv1.VolumeSnapshot{}
		err := c.Memory.Get(ctx, claimKey(snapshot, member.VolumeSnapshotName), found)
		if err == nil && found.UID == member.VolumeSnapshotUID && found.DeletionTimestamp == nil {
			err = c.remove(ctx, snapshot, member.VolumeSnapshotName, member.VolumeSnapshotUID)
		}
		if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// remove reads a VolumeSnapshot, and deletes it where it is the one that is meant and ours.
func (c *Cutter) remove(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, name string, uid types.UID) error {
	found := &snapshotv1.VolumeSnapshot{}
	if err := c.Client.Get(ctx, claimKey(snapshot, name), found); err != nil {
		return wrapped(client.IgnoreNotFound(err), "reading VolumeSnapshot "+name)
	}
	if found.UID != uid || !isOurs(found, snapshot) || found.DeletionTimestamp != nil {
		return nil
	}
	err := c.Client.Delete(ctx, found, client.Preconditions{UID: &uid})
	if apierrors.IsConflict(err) {
		// Another one has taken its name.
		return nil
	}
	return wrapped(client.IgnoreNotFound(err), "deleting VolumeSnapshot "+name)
}

// removeGroup deletes the VolumeGroupSnapshot: its parts go with it, and one by one they cannot.
func (c *Cutter) removeGroup(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, error) {
	if snapshot.Status.GroupSnapshotName == "" {
		return true, nil
	}
	group, err := c.groups.Get(ctx, claimKey(snapshot, snapshot.Status.GroupSnapshotName))
	if meta.IsNoMatchError(err) {
		return true, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading VolumeGroupSnapshot %s: %w", snapshot.Status.GroupSnapshotName, err)
	}
	if err == nil && isOurs(group, snapshot) {
		if group.DeletionTimestamp == nil {
			err = c.groups.Delete(ctx, group)
		}
		return false, wrapped(client.IgnoreNotFound(err), "deleting VolumeGroupSnapshot "+group.Name)
	}
	for i := range snapshot.Status.Members {
		if snapshot.Status.Members[i].VolumeSnapshotUID == "" {
			continue
		}
		found, err := c.find(ctx, snapshot, &snapshot.Status.Members[i])
		if err != nil || found != nil {
			return false, err
		}
	}
	return true, nil
}

func wrapped(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
