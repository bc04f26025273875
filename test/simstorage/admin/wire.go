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

// SnapshotFault is how new snapshots behave: they fail, or are not ready for the time of the delay.
type SnapshotFault struct {
	Fail  bool            `json:"fail"`
	Delay metav1.Duration `json:"delay,omitzero"`
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
