// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Over says that a restore is done with, well or not.
func Over(restore *snapshotv1alpha1.SnapshotRestore) bool {
	switch restore.Status.Phase {
	case snapshotv1alpha1.RestoreCompleted, snapshotv1alpha1.RestoreRolledBack, snapshotv1alpha1.RestoreFailed:
		return true
	default:
		return false
	}
}

// NeedsSource says that the ApplicationSnapshot of a restore must not be deleted: the restore is under way, or one of its new
// claims has yet to get its content, because it waits for its first pod.
func NeedsSource(restore *snapshotv1alpha1.SnapshotRestore) bool {
	if !Over(restore) {
		return true
	}
	if restore.Spec.NewClaims == nil {
		return false
	}
	for i := range restore.Status.Claims {
		if Unfilled(&restore.Status.Claims[i]) {
			return true
		}
	}
	return false
}

// Unfilled says that a claim counts as restored, and still has no volume.
func Unfilled(claim *snapshotv1alpha1.RestoredClaim) bool {
	return claim.State == snapshotv1alpha1.ClaimRestored && claim.NewVolume == ""
}
