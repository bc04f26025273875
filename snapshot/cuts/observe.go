// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Observe enters into the members what became of what was made. It makes no API call for a VolumeSnapshot that is in memory.
func (c *Cutter) Observe(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	if isGroup(snapshot) {
		if err := c.observeGroup(ctx, snapshot); err != nil {
			return err
		}
	}
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if member.VolumeSnapshotUID == "" || member.State == snapshotv1alpha1.MemberFailed {
			continue
		}
		found, err := c.find(ctx, snapshot, member)
		switch {
		case err != nil:
			return err
		case found == nil:
			fail(member, fmt.Sprintf("VolumeSnapshot %s was deleted", member.VolumeSnapshotName))
		case found.DeletionTimestamp != nil:
			fail(member, fmt.Sprintf("VolumeSnapshot %s is being deleted", found.Name))
		default:
			if err := c.see(ctx, member, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// find reads a member's VolumeSnapshot. Memory may not have it yet, so that only the API server can say that it is gone.
func (c *Cutter) find(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember) (*snapshotv1.VolumeSnapshot, error) {
	for _, reader := range []client.Reader{c.Memory, c.Client} {
		found := &snapshotv1.VolumeSnapshot{}
		err := reader.Get(ctx, claimKey(snapshot, member.VolumeSnapshotName), found)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading VolumeSnapshot %s: %w", member.VolumeSnapshotName, err)
		}
		if err == nil && found.UID == member.VolumeSnapshotUID {
			return found, nil
		}
	}
	return nil, nil
}

// see enters what a VolumeSnapshot says.
func (c *Cutter) see(ctx context.Context, member *snapshotv1alpha1.SnapshotMember, found *snapshotv1.VolumeSnapshot) error {
	content, why, err := c.content(ctx, member, found)
	if err != nil {
		return err
	}
	status := found.Status
	if status == nil {
		status = &snapshotv1.VolumeSnapshotStatus{}
	}
	member.Message = messageOf(status)
	if content == nil {
		enterUnbound(member, why)
		return nil
	}
	c.enter(member, status, content)
	enterSize(member, status, content)
	return nil
}

// messageOf is what the storage system said last.
func messageOf(status *snapshotv1.VolumeSnapshotStatus) string {
	if status.Error == nil || status.Error.Message == nil {
		return ""
	}
	return short(*status.Error.Message)
}

// enterUnbound enters that nothing can be believed, and why.
func enterUnbound(member *snapshotv1alpha1.SnapshotMember, why string) {
	if member.Message == "" {
		member.Message = short(why)
	}
	if member.State == snapshotv1alpha1.MemberReady {
		member.State = snapshotv1alpha1.MemberCut
	}
}

// enter enters how far a snapshot is that is bound.
func (c *Cutter) enter(member *snapshotv1alpha1.SnapshotMember, status *snapshotv1.VolumeSnapshotStatus, content *snapshotv1.VolumeSnapshotContent) {
	ready := status.ReadyToUse != nil && *status.ReadyToUse
	at := cutTime(status, content)
	switch {
	case ready:
		// An error beside it is older: https://github.com/longhorn/longhorn/issues/11429.
		member.State, member.Message = snapshotv1alpha1.MemberReady, ""
	case at != nil || member.CutTime != nil:
		member.State = snapshotv1alpha1.MemberCut
	}
	if ready || at != nil {
		c.enterCut(member, at)
	}
}

// enterCut enters when a member was cut, once. A storage system whose clock is ahead would make it the newest for longer than
// it is: https://github.com/IBM/ibm-spectrum-scale-csi/issues/255.
func (c *Cutter) enterCut(member *snapshotv1alpha1.SnapshotMember, at *time.Time) {
	if member.CutTime != nil {
		return
	}
	now := c.Clock.Now()
	if at == nil || at.After(now) {
		at = &now
	}
	member.CutTime = &metav1.MicroTime{Time: at.Truncate(time.Microsecond)}
}

// enterSize enters the least size of a claim. None or 0 says nothing.
func enterSize(member *snapshotv1alpha1.SnapshotMember, status *snapshotv1.VolumeSnapshotStatus, content *snapshotv1.VolumeSnapshotContent) {
	size := status.RestoreSize
	if (size == nil || size.Sign() <= 0) && content.Status != nil && content.Status.RestoreSize != nil {
		size = resource.NewQuantity(*content.Status.RestoreSize, resource.BinarySI)
	}
	if size == nil || size.Sign() <= 0 || member.RestoreSize != nil && member.RestoreSize.Cmp(*size) == 0 {
		return
	}
	copied := size.DeepCopy()
	member.RestoreSize = &copied
}

// cutTime is the content's where it has one, which is exact: a VolumeSnapshot has whole seconds.
func cutTime(status *snapshotv1.VolumeSnapshotStatus, content *snapshotv1.VolumeSnapshotContent) *time.Time {
	if content.Status != nil && content.Status.CreationTime != nil && *content.Status.CreationTime > 0 {
		at := time.Unix(0, *content.Status.CreationTime).UTC()
		return &at
	}
	if status.CreationTime != nil && !status.CreationTime.IsZero() {
		return &status.CreationTime.Time
	}
	return nil
}

// content is what a VolumeSnapshot is bound to, where that is bound to it. Else it says why not. Memory may have the one and not
// yet the other, and nobody wakes us for it: the API server is asked then.
func (c *Cutter) content(ctx context.Context, member *snapshotv1alpha1.SnapshotMember, found *snapshotv1.VolumeSnapshot) (content *snapshotv1.VolumeSnapshotContent, why string, err error) {
	if found.Status == nil || found.Status.BoundVolumeSnapshotContentName == nil {
		return nil, "", nil
	}
	name := *found.Status.BoundVolumeSnapshotContentName
	for _, reader := range []client.Reader{c.Memory, c.Client} {
		content = &snapshotv1.VolumeSnapshotContent{}
		err = reader.Get(ctx, client.ObjectKey{Name: name}, content)
		if client.IgnoreNotFound(err) != nil {
			return nil, "", fmt.Errorf("reading VolumeSnapshotContent %s: %w", name, err)
		}
		if err != nil {
			why = fmt.Sprintf("VolumeSnapshotContent %s is not there", name)
		} else if why = misbound(member, found, content); why == "" {
			return content, "", nil
		}
	}
	return nil, why, nil
}

// misbound says why a content is not to be believed.
func misbound(member *snapshotv1alpha1.SnapshotMember, found *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent) string {
	reference := content.Spec.VolumeSnapshotRef
	switch {
	case reference.UID != found.UID || reference.Namespace != found.Namespace || reference.Name != found.Name:
		return fmt.Sprintf("VolumeSnapshotContent %s is bound to another VolumeSnapshot", content.Name)
	case content.Spec.Driver != member.Driver:
		return fmt.Sprintf("VolumeSnapshotContent %s is of CSI driver %s", content.Name, content.Spec.Driver)
	case content.DeletionTimestamp != nil:
		return fmt.Sprintf("VolumeSnapshotContent %s is being deleted", content.Name)
	default:
		return ""
	}
}
