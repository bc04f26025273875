// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// owns says whether the snapshots go with the schedule.
func (p *pass) owns() bool {
	return p.schedule.Spec.DeletionPolicy == snapshotv1alpha1.DeletionPolicyDelete
}

// ownerReference has the garbage collector delete a snapshot with the schedule.
func (p *pass) ownerReference() metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: snapshotv1alpha1.GroupVersion.String(), Kind: "SnapshotSchedule", Name: p.schedule.Name, UID: p.schedule.UID,
	}
}

// adopt gives the snapshots that there are the schedule as their owner, or takes it away, where deletionPolicy changed. The
// API server refuses what was changed meanwhile.
func (p *pass) adopt(ctx context.Context) error {
	isMine := func(owner metav1.OwnerReference) bool { return owner.UID == p.schedule.UID }
	for i := range p.mine {
		snapshot := &p.mine[i]
		if snapshot.DeletionTimestamp != nil || slices.ContainsFunc(snapshot.OwnerReferences, isMine) == p.owns() {
			continue
		}
		// An owner that is gone would have the garbage collector delete the snapshot at once.
		if err := p.check(ctx); err != nil {
			return err
		}
		changed := snapshot.DeepCopy()
		if p.owns() {
			changed.OwnerReferences = append(changed.OwnerReferences, p.ownerReference())
		} else {
			changed.OwnerReferences = slices.DeleteFunc(changed.OwnerReferences, isMine)
		}
		err := p.Client.Patch(ctx, changed, client.MergeFromWithOptions(snapshot, client.MergeFromWithOptimisticLock{}))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("changing the owner of ApplicationSnapshot %s: %w", client.ObjectKeyFromObject(snapshot), err)
		}
		if err == nil {
			*snapshot = *changed
		}
	}
	return nil
}
