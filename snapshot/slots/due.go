// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import "time"

// MaxMissed is how far missed runs are counted.
const MaxMissed = 100

// Question asks which run is due.
type Question struct {
	// After is the latest of the schedule's creation, its last slot that was made or skipped, and its last resumption. No slot
	// at or before it is due any more.
	After time.Time
	Now   time.Time
	// Delay is how long after its slot a run starts.
	Delay time.Duration
	// Deadline is how late a run may start. Nil is no limit.
	Deadline *time.Duration
}

// Answer says which run is due.
type Answer struct {
	// Run is the slot of the run that is to be made now. It is zero where none is.
	Run time.Time
	// Missed is how many slots since After have no run and get none, up to MaxMissed.
	Missed int
	// LastMissed is the latest of them.
	LastMissed time.Time
}

// Due says which run is due: the latest slot that has come, unless it is too late for it. All others before it are missed.
func (s *Schedule) Due(q Question) Answer {
	latest := s.Latest(q.Now.Add(-q.Delay))
	if latest.IsZero() || !latest.After(q.After) {
		return Answer{}
	}
	if q.Deadline != nil && q.Now.Sub(latest.Add(q.Delay)) > *q.Deadline {
		return Answer{Missed: s.count(q.After, latest), LastMissed: latest}
	}
	answer := Answer{Run: latest}
	if before := s.Latest(latest.Add(-time.Second)); before.After(q.After) {
		answer.Missed, answer.LastMissed = s.count(q.After, before), before
	}
	return answer
}

// count is how many slots there are after one instant and up to another.
func (s *Schedule) count(after, upTo time.Time) int {
	n := 0
	for slot := s.Next(after); n < MaxMissed && !slot.IsZero() && !slot.After(upTo); slot = s.Next(slot) {
		n++
	}
	return n
}
