// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

// Reasons of events and conditions.
const (
	// ReasonPlanned is that the restore began.
	ReasonPlanned = "RestorePlanned"
	// ReasonOwned is that somebody else may scale a workload that is stopped.
	ReasonOwned = "WorkloadHasOwner"
	// ReasonStopping is that workloads are scaled to 0.
	ReasonStopping = "WorkloadsStopping"
	// ReasonSecuring is that the present state is kept as a snapshot.
	ReasonSecuring = "SafetySnapshotTaking"
	// ReasonSwapping is that claims get other volumes.
	ReasonSwapping = "VolumesSwapping"
	// ReasonClaimDeleted is that a claim was deleted, to be made again.
	ReasonClaimDeleted = "ClaimReplaced"
	// ReasonStarting is that workloads get their replicas again.
	ReasonStarting = "WorkloadsStarting"
	// ReasonWorkloadLeft is that a workload was not given its replicas.
	ReasonWorkloadLeft = "WorkloadLeftAlone"
	// ReasonCompleted is that the claims have the content of the snapshot.
	ReasonCompleted = "RestoreCompleted"
	// ReasonRollingBack is that the claims get their old volumes again.
	ReasonRollingBack = "RollingBack"
	// ReasonRolledBack is that they have them.
	ReasonRolledBack = "RolledBack"
	// ReasonCannotRollBack is that rollback is asked for and there is no way back.
	ReasonCannotRollBack = "CannotRollBack"
	// ReasonAborting is that everything is being brought back to how it was.
	ReasonAborting = "Aborting"
	// ReasonFailed is that it is.
	ReasonFailed = "RestoreFailed"
	// ReasonGivingUp is that the volumes that are not used any more are let go.
	ReasonGivingUp = "VolumesGivingUp"
	// ReasonGivenUp is that they are.
	ReasonGivenUp = "VolumesGivenUp"
	// ReasonVolumeKept is that a volume is left with the reclaim policy Retain, for a person.
	ReasonVolumeKept = "VolumeKept"
	// ReasonWaiting is that the restore is not at its end.
	ReasonWaiting = "InProgress"

	// ReasonDeadline is that the deadline passed before a claim had got its new volume.
	ReasonDeadline = "DeadlineExceeded"
	// ReasonDeleted is that the SnapshotRestore was deleted.
	ReasonDeleted = "RestoreDeleted"
	// ReasonMember is that the snapshot cannot be restored into a claim.
	ReasonMember = "MemberNotRestorable"
	// ReasonClaim is that a claim cannot be restored in place.
	ReasonClaim = "ClaimNotRestorable"
	// ReasonInUse is that somebody uses a claim who cannot be stopped.
	ReasonInUse = "CannotStop"
	// ReasonHeld is that another restore is at work on a claim or a workload.
	ReasonHeld = "RestoredByAnother"
	// ReasonSafety is that there is no safety snapshot.
	ReasonSafety = "SafetySnapshotFailed"
	// ReasonVolumeGone is that a volume is not there any more.
	ReasonVolumeGone = "VolumeGone"
)
