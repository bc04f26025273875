// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"testing"

	"roost.dev/roost/drivers"
)

// Nodes are the names of the nodes that a fixture's cluster has.
func Nodes() []string {
	return []string{"node-a", "node-b", "node-c"}
}

// Fixture is a storage system, without any volume at first, on the nodes of Nodes. Its methods return once the storage
// system has the change; the driver may learn of it later. What goes wrong in the fixture itself ends the test.
type Fixture interface {
	// Driver returns a driver of the storage system that does not run yet. It is called once.
	Driver(t *testing.T) drivers.Driver
	// Volume returns the n-th of any number of different volumes, all of one provisioner.
	Volume(n int) drivers.VolumeID
	// Place gives the volume an InSync replica on each of the nodes and on no other. Where the volume has these replicas,
	// it is written again as it is, so that the driver has something to see.
	Place(t *testing.T, id drivers.VolumeID, nodes ...string)
	// Remove removes the volume.
	Remove(t *testing.T, id drivers.VolumeID)
	// Report lets time pass, then has the storage system say this of its part on the node. It is called where the driver's
	// data ages or where the driver has Health.
	Report(t *testing.T, node string, state drivers.StorageState)
	// Fence keeps the node from writing to the volume, or lets it write again. It is called where the driver has a Fencer,
	// for volumes that were placed.
	Fence(t *testing.T, id drivers.VolumeID, node string, fenced bool)
}

// Conformance checks that a driver keeps the contract. Run it under the race detector too: what concurrent readers do to
// a driver is for that to see.
func Conformance(t *testing.T, newFixture func(t *testing.T) Fixture) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t, newFixture(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// check is one clause of the contract. It returns what the driver did wrong, so that our own test can show that it sees it.
type check struct {
	name string
	run  func(t *testing.T, f Fixture) error
}

func checks() []check {
	return []check{
		{name: "the registry accepts it", run: registers},
		{name: "it knows nothing before it runs, and everything that existed once it has synced", run: syncs},
		{name: "it locates the volumes that exist, and no other", run: locates},
		{name: "it follows a volume that moves and one that is removed, and leaves earlier answers alone", run: follows},
		{name: "it tells each change of a volume once", run: tellsVolumes},
		{name: "it tells each change of a node's storage once", run: tellsNodes},
		{name: "it proves that a node is fenced while it is, and nothing else", run: fences},
		{name: "its answers are whole under concurrent readers", run: servesReaders},
		{name: "its answers are as old as the last word of the storage system", run: ages},
		{name: "a look-up allocates nothing", run: allocatesNothing},
		{name: "it stops when it is told to, and leaves no goroutine", run: stops},
	}
}
