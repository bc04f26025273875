// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/preflight"
)

const (
	runValue = "cut"

	restoring = "claim %s is being restored in place by SnapshotRestore %s since the snapshot began"
	deleted   = "claim %s was deleted after the snapshot began"
)

// Mark puts the run's label on the members' claims, and on no others. A member whose claim is not the one that was settled
// fails. Where a claim has the label that is no member, there is an error.
func (c *Cutter) Mark(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	wanted := map[types.UID]bool{}
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if err := c.mark(ctx, snapshot, member); err != nil {
			return err
		}
		wanted[member.ClaimUID] = true
	}
	marked, err := c.marked(ctx, snapshot)
	if err != nil || anyFailed(snapshot) {
		return err
	}
	for i := range marked {
		if !wanted[marked[i].UID] {
			return fmt.Errorf("claim %s has the label %s and is no member: the group would take it along", marked[i].Name, RunLabel(snapshot))
		}
	}
	if len(marked) < len(wanted) {
		return fmt.Errorf("%d of %d claims have the label %s", len(marked), len(wanted), RunLabel(snapshot))
	}
	return nil
}

// mark tries what memory has, and reads the API server where that was too old.
func (c *Cutter) mark(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember) error {
	var last error
	for _, reader := range []client.Reader{c.Memory, c.Client} {
		claim := &corev1.PersistentVolumeClaim{}
		if last = reader.Get(ctx, claimKey(snapshot, member.ClaimName), claim); client.IgnoreNotFound(last) != nil {
			return fmt.Errorf("reading claim %s: %w", member.ClaimName, last)
		}
		if last == nil && !isMember(claim, member) {
			last = apierrors.NewNotFound(corev1.Resource("persistentvolumeclaims"), member.ClaimName)
		}
		if last != nil {
			continue
		}
		if by := preflight.RestoredBy(claim, snapshot); by != "" {
			fail(member, fmt.Sprintf(restoring, claim.Name, by))
			return nil
		}
		last = c.patch(ctx, claim, func(labels map[string]string) { labels[RunLabel(snapshot)] = runValue })
		if !apierrors.IsConflict(last) && !apierrors.IsNotFound(last) {
			return last
		}
	}
	if apierrors.IsNotFound(last) {
		fail(member, fmt.Sprintf(deleted, member.ClaimName))
		return nil
	}
	return last
}

// Unmark takes the run's label from every claim that has it.
func (c *Cutter) Unmark(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	if !isGroup(snapshot) {
		return nil
	}
	marked, err := c.marked(ctx, snapshot)
	if err != nil {
		return err
	}
	for i := range marked {
		err := c.patch(ctx, &marked[i], func(labels map[string]string) { delete(labels, RunLabel(snapshot)) })
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

func (c *Cutter) marked(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) ([]corev1.PersistentVolumeClaim, error) {
	var list corev1.PersistentVolumeClaimList
	if err := c.Client.List(ctx, &list, client.InNamespace(snapshot.Namespace), client.HasLabels{RunLabel(snapshot)}); err != nil {
		return nil, fmt.Errorf("listing claims with label %s: %w", RunLabel(snapshot), err)
	}
	return list.Items, nil
}

// patch changes labels, unless the claim has changed since it was read.
func (c *Cutter) patch(ctx context.Context, claim *corev1.PersistentVolumeClaim, change func(map[string]string)) error {
	before := claim.DeepCopy()
	if claim.Labels == nil {
		claim.Labels = map[string]string{}
	}
	change(claim.Labels)
	if len(claim.Labels) == len(before.Labels) {
		return nil
	}
	if err := c.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("changing the labels of claim %s: %w", claim.Name, err)
	}
	return nil
}
