// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
)

// Faults are what is wrong with the storage system as a whole.
type Faults struct {
	API       APIFault       `json:"api"`
	Publisher PublisherFault `json:"publisher"`
	Snapshots SnapshotFault  `json:"snapshots"`
}

// APIFault is how the storage API is: every call fails when it is down, and takes at least the delay.
type APIFault struct {
	Down  bool            `json:"down"`
	Delay metav1.Duration `json:"delay,omitzero"`
}

// PublisherFault tells whether heartbeats and topology updates have stopped.
type PublisherFault struct {
	Silent bool `json:"silent"`
}

// SnapshotFault is how snapshots that are taken from now on behave, alone or in a group. A snapshot that never becomes ready
// has a delay that no test outlasts.
type SnapshotFault struct {
	// Volumes are the handles of the volumes concerned; none is all.
	Volumes []string `json:"volumes,omitempty"`
	// Fail makes taking a snapshot fail.
	Fail bool `json:"fail"`
	// CutDelay is how long the CSI call takes before the cut. A call that is given up before does not cut.
	CutDelay metav1.Duration `json:"cutDelay,omitzero"`
	// Delay is how long after the cut the snapshot is not ready.
	Delay metav1.Duration `json:"delay,omitzero"`
	// Skew is how far the creation time is ahead of the cut; behind, where it is negative.
	Skew metav1.Duration `json:"skew,omitzero"`
	// NoSize makes the restore size 0, which CSI allows.
	NoSize bool `json:"noSize,omitempty"`
}

// Volume is a volume and where its content is.
type Volume struct {
	cluster.Volume
	// Directory is where who plays a pod reads and writes what the volume holds. It may not exist while the volume is empty:
	// who writes makes it. It is empty where simstorage keeps no content.
	Directory string `json:"directory,omitempty"`
}

// Snapshot is a snapshot and where its content is.
type Snapshot struct {
	cluster.Snapshot
	// Directory is where the copy is. It is empty where simstorage keeps no content.
	Directory string `json:"directory,omitempty"`
}

type nodeState struct {
	State   storagev1alpha1.StorageState `json:"state"`
	Message string                       `json:"message,omitempty"`
}

type nodeCutOff struct {
	CutOff bool `json:"cutOff"`
}

type replicaState struct {
	State storagev1alpha1.ReplicaState `json:"state"`
}

type fencing struct {
	Mode cluster.Fencing `json:"mode"`
}

type fence struct {
	Fenced bool `json:"fenced"`
}

type failure struct {
	Error string `json:"error"`
}
