// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import "time"

// Faults are what is wrong with the storage system as a whole. The zero value is a system that works.
type Faults struct {
	// APIDown makes every call to the storage API fail as unavailable.
	APIDown bool
	// APIDelay is how long every call to the storage API takes.
	APIDelay time.Duration
	// PublisherSilent stops heartbeats and topology updates.
	PublisherSilent bool
	// SnapshotsFail makes new snapshots fail.
	SnapshotsFail bool
	// SnapshotDelay is how long a new snapshot is not ready to use after its cut.
	SnapshotDelay time.Duration
}

// Faults returns the faults in force.
func (c *Cluster) Faults() Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
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
func (c *Cluster) SetSnapshots(fail bool, delay time.Duration) error {
	if delay < 0 {
		return errorf(Invalid, "delay: invalid value %s: must not be negative", delay)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.SnapshotsFail, c.faults.SnapshotDelay = fail, delay
	return nil
}
