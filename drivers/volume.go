// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import "time"

// VolumeID identifies a volume in its storage system, as a PersistentVolume's CSI source does. The name of the
// PersistentVolume is no part of it, except for local and hostPath volumes, which have no other.
type VolumeID struct {
	// Provisioner is the CSI driver's name.
	Provisioner string
	// Handle is the CSI volume handle.
	Handle string
}

// Location is where a volume is.
type Location struct {
	// Replicas are the volume's full copies, at most one a node.
	Replicas []Replica
	// AttachedTo are the nodes that the volume is attached to.
	AttachedTo []string
	// Pinned means that no node without a replica can use the volume.
	Pinned bool
	// ObservedAt is when the storage system last confirmed it. Zero is for what cannot age.
	ObservedAt time.Time
}

// Replica is a full copy of a volume on a node.
type Replica struct {
	// Node is the name of the Node object.
	Node string
	// State says how much of the data it has.
	State ReplicaState
}

// ReplicaState says how much of a volume's data a replica has. Higher is worse.
type ReplicaState uint8

const (
	// InSync has all data and serves reads and writes.
	InSync ReplicaState = iota
	// Rebuilding is being filled and will be InSync.
	Rebuilding
	// Stale has old data and is not being filled.
	Stale
	// Failed has no data that can be used.
	Failed
)

// String returns the state's name in the storage.roost.dev API.
func (s ReplicaState) String() string {
	switch s {
	case InSync:
		return "InSync"
	case Rebuilding:
		return "Rebuilding"
	case Stale:
		return "Stale"
	case Failed:
		return "Failed"
	default:
		return "Invalid"
	}
}
