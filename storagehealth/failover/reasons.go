// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

// Why a pod that may be moved is still on the node. They are part of the API: they stand in events and in the status of
// StorageNodes, beside the refusals of package candidates.
const (
	// Due is about to be moved.
	Due = "Due"
	// Evicted was asked to terminate and has not ended yet.
	Evicted = "Evicted"
	// Detaching waits until its volumes are detached from the node.
	Detaching = "Detaching"
	// Removed was removed by force.
	Removed = "Removed"
	// DisruptionBudget is kept by a PodDisruptionBudget.
	DisruptionBudget = "DisruptionBudget"
	// NeedsProof does not end, and nothing proves that the node can no longer write to its volumes.
	NeedsProof = "NeedsProof"
	// SharedVolume shares a volume on the node with a pod that may not be moved.
	SharedVolume = "SharedVolume"
	// Throttled waits because enough pods were moved in this minute.
	Throttled = "Throttled"
	// Braked waits because a brake holds; the message says which.
	Braked = "Braked"
	// WouldMove is what a dry run says.
	WouldMove = "WouldMove"
	// Failed could not be moved for an error of the API server; it is tried again.
	Failed = "Failed"
)

// Reasons of events on pods.
const (
	// EventEvicting comes with every eviction, and EventDeleting with every deletion that no PodDisruptionBudget was asked about.
	EventEvicting = "StorageFailoverEvicting"
	EventDeleting = "StorageFailoverDeleting"
	// EventDetaching comes with every VolumeAttachment that is deleted.
	EventDetaching = "StorageFailoverDetaching"
	// EventForceDeleting comes with every pod that is removed by force.
	EventForceDeleting = "StorageFailoverForceDeleting"
	// EventWouldMove comes once for every pod that a dry run would have moved.
	EventWouldMove = "StorageFailoverWouldMove"
	// EventTainted and EventUntainted come on the Node with the out-of-service taint.
	EventTainted   = "StorageFailoverTainted"
	EventUntainted = "StorageFailoverUntainted"
)
