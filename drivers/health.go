// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import "time"

// NodeReport is what a storage system says of its part on one node.
type NodeReport struct {
	// State is how the storage is.
	State StorageState
	// Message tells a person why.
	Message string
	// ObservedAt is when the storage system last confirmed it. Zero is for what cannot age.
	ObservedAt time.Time
	// LocatesAll is the driver's, and for the registry to set: the driver of the report knows every volume of the provisioner.
	// It holds too where the state is Unknown for its age.
	LocatesAll bool
}

// StorageState says how a storage system is on a node.
type StorageState uint8

const (
	// Unknown is no answer, or one that is too old. It never moves a pod.
	Unknown StorageState = iota
	// Online serves I/O from the node's own storage.
	Online
	// Degraded serves I/O, with less redundancy or speed than it should.
	Degraded
	// StorageDown serves I/O only from replicas on other nodes.
	StorageDown
	// Maintenance was taken out of service by an operator.
	Maintenance
	// Offline serves no I/O on the node.
	Offline
)

// String returns the state's name in the storage.roost.dev API.
func (s StorageState) String() string {
	switch s {
	case Online:
		return "Online"
	case Degraded:
		return "Degraded"
	case StorageDown:
		return "StorageDown"
	case Maintenance:
		return "Maintenance"
	case Offline:
		return "Offline"
	case Unknown:
		return "Unknown"
	default:
		return "Invalid"
	}
}

// StorageStateOf is the state of that name in the storage.roost.dev API, Unknown for a name that no state has.
func StorageStateOf(name string) StorageState {
	for state := Unknown; state <= Offline; state++ {
		if state.String() == name {
			return state
		}
	}
	return Unknown
}
