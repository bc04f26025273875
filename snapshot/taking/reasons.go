// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

// Reasons of conditions, besides those of package preflight. They are part of the API.
const (
	// ReasonWaiting is that others are first; see package limits.
	ReasonWaiting = "Waiting"
	// ReasonCutting is that the storage system was asked, or is about to be.
	ReasonCutting = "Cutting"
	// ReasonUploading is that all is cut and not all can be restored.
	ReasonUploading = "Uploading"
	// ReasonReady is that it can be restored.
	ReasonReady = "Ready"
	// ReasonNamespaceTerminating is that the namespace is being deleted, and nothing can be made in it.
	ReasonNamespaceTerminating = "NamespaceTerminating"
	// ReasonHooks is that the hooks cannot run: their pods are not there, or not ready.
	ReasonHooks = "HooksCannotRun"
	// ReasonHookFailed is that a freeze command failed whose onError is Fail.
	ReasonHookFailed = "HookFailed"
	// ReasonInterrupted is that the controller manager ended while the application may have been frozen.
	ReasonInterrupted = "Interrupted"
	// ReasonStatusRefused is that the API server will not have the status.
	ReasonStatusRefused = "StatusRefused"
	// ReasonCutDeadline is that the storage system did not cut in time.
	ReasonCutDeadline = "CutDeadlineExceeded"
	// ReasonReadyDeadline is that the snapshot could not be restored in time.
	ReasonReadyDeadline = "ReadyDeadlineExceeded"
	// ReasonMemberFailed is that a claim has no snapshot, and gets none.
	ReasonMemberFailed = "MemberFailed"
	// ReasonMemberLost is that a VolumeSnapshot is gone, or no longer ready, after all were ready.
	ReasonMemberLost = "MemberLost"
	// ReasonFrozen, ReasonThawed and ReasonNotThawed are those of condition Thawed.
	ReasonFrozen    = "Frozen"
	ReasonThawed    = "Thawed"
	ReasonNotThawed = "NotThawed"
	// ReasonComplete and ReasonIncomplete are those of condition Complete.
	ReasonComplete   = "Complete"
	ReasonIncomplete = "Incomplete"
)

// Reasons of events on ApplicationSnapshots.
const (
	// EventPending comes when something stands in the way, once for each reason.
	EventPending = "SnapshotPending"
	// EventLeftOut comes for each claim that the selector takes and that is left out.
	EventLeftOut = "SnapshotClaimLeftOut"
	// EventCut comes when every claim is cut, and the application thawed.
	EventCut = "SnapshotCut"
	// EventReady comes when it can be restored.
	EventReady = "SnapshotReady"
	// EventFailed comes with what failed. What was made is deleted.
	EventFailed = "SnapshotFailed"
	// EventLost comes when one that was ready can no longer be restored.
	EventLost = "SnapshotLost"
	// EventNotConsistent comes when hooks ran, and the snapshot is not application-consistent all the same.
	EventNotConsistent = "SnapshotNotConsistent"
	// EventNotThawed comes when thaw commands failed until Roost gave up. A person must look.
	EventNotThawed = "SnapshotNotThawed"
)

// actions of events.
const (
	actionTake = "TakeSnapshot"
	actionThaw = "Thaw"
)
