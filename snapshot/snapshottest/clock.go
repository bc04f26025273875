// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshottest

import (
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

// Clock is a fake clock that moves when somebody waits for it: a timer is up at once, and so is all that happens until then.
type Clock struct {
	*clocktesting.FakeClock
	// Play is called after each step.
	Play func()
}

var _ clock.Clock = (*Clock)(nil)

// NewClock returns a clock that stands.
func NewClock(start time.Time) *Clock {
	return &Clock{FakeClock: clocktesting.NewFakeClock(start)}
}

// NewTimer returns one that is up.
func (c *Clock) NewTimer(d time.Duration) clock.Timer {
	timer := c.FakeClock.NewTimer(d)
	c.Pass(d)
	return timer
}

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) {
	c.Step(d)
	if c.Play != nil {
		c.Play()
	}
}
