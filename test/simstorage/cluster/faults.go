// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"time"
)

// Faults are what is wrong with the storage system as a whole. The zero value is a system that works.
type Faults struct {
	// APIDown makes every call to the storage API fail as unavailable.
	APIDown bool
	// APIDelay is how long every call to the storage API takes.
	APIDelay time.Duration
	// PublisherSilent stops heartbeats and topology updates.
	PublisherSilent bool
	// Snapshots are what is wrong with snapshots.
	Snapshots SnapshotFaults
}

// SnapshotFaults are what is wrong with snapshots that are taken from now on, alone or in a group.
type SnapshotFaults struct {
	// Volumes are the handles of the volumes whose snapshots are concerned; none is all.
	Volumes []string
	// Fail makes new snapshots fail.
	Fail bool
	// CutDelay is how long the call that makes a snapshot takes before the cut.
	CutDelay time.Duration
	// ReadyDelay is how long a new snapshot is not ready to use after its cut.
	ReadyDelay time.Duration
	// Skew is how far the storage system's clock is ahead where it tells the time of a cut; behind, where it is negative.
	Skew time.Duration
	// NoSize makes the storage system tell no size.
	NoSize bool
}

// of returns the faults of one volume's snapshots.
func (f SnapshotFaults) of(handle string) SnapshotFaults {
	if len(f.Volumes) > 0 && !slices.Contains(f.Volumes, handle) {
		return SnapshotFaults{}
	}
	return f
}

// Faults returns the faults in force.
func (c *Cluster) Faults() Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	faults := c.faults
	faults.Snapshots.Volumes = slices.Clone(faults.Snapshots.Volumes)
	return faults
}

// SetAPI sets how the storage API is.
func (c *Cluster) SetAPI(down bool, delay time.Duration) error {
	if delay < 0 {
		return errorf(Invalid, "delay: invalid value %s: must not be negative", delay)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.APIDown, c.faults.APIDelay = down, delay
	return nil
}

// SetPublisher silences the publisher, or lets it publish again.
func (c *Cluster) SetPublisher(silent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	resumed := c.faults.PublisherSilent && !silent
	c.faults.PublisherSilent = silent
	if resumed {
		c.notify(PublisherResumed, "")
	}
}

// SetSnapshots sets how snapshots that are taken from now on behave.
func (c *Cluster) SetSnapshots(faults SnapshotFaults) error {
	if faults.ReadyDelay < 0 {
		return errorf(Invalid, "delay: invalid value %s: must not be negative", faults.ReadyDelay)
	}
	if faults.CutDelay < 0 {
		return errorf(Invalid, "cutDelay: invalid value %s: must not be negative", faults.CutDelay)
	}
	faults.Volumes = slices.Clone(faults.Volumes)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.Snapshots = faults
	return nil
}

// CutDelay returns how long a call that makes snapshots of these volumes takes before the cut.
func (c *Cluster) CutDelay(handles ...string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var delay time.Duration
	for _, handle := range handles {
		delay = max(delay, c.faults.Snapshots.of(handle).CutDelay)
	}
	return delay
}
