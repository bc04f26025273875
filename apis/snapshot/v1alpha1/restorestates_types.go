// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// WorkloadState is how far a workload is that a restore in place stops and starts.
// +kubebuilder:validation:Enum=Planned;Stopped;Started
type WorkloadState string

const (
	// WorkloadPlanned is about to be scaled to 0.
	WorkloadPlanned WorkloadState = "Planned"
	// WorkloadStopped has been scaled to 0.
	WorkloadStopped WorkloadState = "Stopped"
	// WorkloadStarted has been given its replicas again, or was found with other replicas than 0 by then.
	WorkloadStarted WorkloadState = "Started"
)

// ClaimState is how far a claim of a restore is.
// +kubebuilder:validation:Enum=Planned;Populating;Populated;Swapping;Restored;RollingBack;RolledBack;Failed
type ClaimState string

const (
	// ClaimPlanned has nothing yet.
	ClaimPlanned ClaimState = "Planned"
	// ClaimPopulating has a claim that the storage system fills, or is about to get one.
	ClaimPopulating ClaimState = "Populating"
	// ClaimPopulated has, in place, its new volume behind the temporary claim.
	ClaimPopulated ClaimState = "Populated"
	// ClaimSwapping has, in place, its volume changed.
	ClaimSwapping ClaimState = "Swapping"
	// ClaimRestored has the content of the snapshot, or gets it as soon as its first pod has a node.
	ClaimRestored ClaimState = "Restored"
	// ClaimRollingBack gets its old volume again.
	ClaimRollingBack ClaimState = "RollingBack"
	// ClaimRolledBack has it.
	ClaimRolledBack ClaimState = "RolledBack"
	// ClaimFailed has nothing and gets nothing.
	ClaimFailed ClaimState = "Failed"
)
