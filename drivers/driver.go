// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import (
	"context"
	"time"
)

// Driver is one storage system. A nil capability is one that the storage system does not have.
type Driver struct {
	// Name identifies the driver in messages and metrics. It is unique in a registry.
	Name string
	// Provisioners are the CSI driver names whose volumes it answers for. A driver without any is a fallback: it is asked
	// for the volumes that no driver before it knows.
	Provisioners []string
	// LocatesAll says that it knows every volume of the provisioners that it reports on. One that it does not know then has
	// copies somewhere all the same; without LocatesAll it may be a volume in the network, which has none on any node.
	LocatesAll bool
	// MaxAge is the age past which what the driver says is Unknown. Zero is for data that cannot be older than the
	// Kubernetes objects it is read from.
	MaxAge time.Duration

	// Source keeps the driver's memory fresh. Required.
	Source Source
	// Locator says where volumes are. Required.
	Locator Locator
	// Health says how the storage is on each node.
	Health HealthReporter
	// Fencer has proof that a node can no longer write.
	Fencer Fencer
}

// Source keeps a driver's memory fresh.
type Source interface {
	// Run fills the driver's memory and keeps it fresh until ctx is done. A storage system that is not installed, or not
	// reachable, is not an error: Run waits for it. An error is a defect that waiting does not mend.
	Run(ctx context.Context) error
	// HasSynced says that the memory holds everything that existed when Run began. A storage system that is not
	// installed has synced with nothing. It is called in look-ups: it does not block and allocates nothing.
	HasSynced() bool
	// Subscribe has changed called after each change in memory from then on, one at a time. changed must not block.
	Subscribe(changed func(Change))
}

// Locator says where volumes are.
type Locator interface {
	// Locate answers from memory and is safe for concurrent use. It is false where the driver does not know the volume.
	// The caller must not modify the slices of the answer, and the driver does not modify them after it has answered.
	Locate(id VolumeID) (Location, bool)
}

// HealthReporter says how a storage system is on each node.
type HealthReporter interface {
	// NodeReport answers from memory and is safe for concurrent use. It is false where the driver knows nothing of the
	// provisioner on that node.
	NodeReport(provisioner, node string) (NodeReport, bool)
}

// Change names what changed in a driver's memory: a volume's location, or the storage on a node.
type Change struct {
	// Volume is set where the location of that volume changed.
	Volume VolumeID
	// Provisioner and Node are set where the storage state of that node changed.
	Provisioner, Node string
}
