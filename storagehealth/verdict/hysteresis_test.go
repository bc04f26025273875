// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"testing"
	"time"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// step is one look at a node: how long after the last one, what the storage system says, and the state that follows.
type step struct {
	after time.Duration
	says  drivers.StorageState
	want  storagev1alpha1.HealthState
}

// every is the same look, count times.
func every(after time.Duration, count int, says drivers.StorageState, want storagev1alpha1.HealthState) []step {
	var steps []step
	for range count {
		steps = append(steps, step{after, says, want})
	}
	return steps
}

func steps(parts ...[]step) []step {
	var all []step
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

const (
	second = time.Second
	period = 2 * second
)

var (
	failing    = steps(every(0, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect), every(period, 1, drivers.Offline, unhealthy))
	returning  = steps(failing, every(period, 1, drivers.Online, recovering))
	hysteresis = map[string][]step{
		"bad for ten seconds": failing,
		"bad for not quite ten seconds": steps(every(0, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect),
			every(period-1, 1, drivers.Offline, suspect), every(1, 1, drivers.Offline, unhealthy)),
		"one good report ends a suspicion": steps(every(0, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect),
			every(period, 1, drivers.Degraded, healthy), failing),
		"silence ends a suspicion": steps(every(0, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect),
			every(period, 1, drivers.Unknown, healthy), failing),
		"maintenance ends a suspicion": steps(every(0, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect),
			every(period, 1, drivers.Maintenance, healthy), failing),
		"a storm of events is one report": steps(every(0, 1, drivers.Offline, suspect), every(time.Millisecond, 1000, drivers.Offline, suspect),
			every(10*second, 1, drivers.Offline, suspect), every(time.Millisecond, 100, drivers.Offline, suspect),
			every(period, 1, drivers.Offline, unhealthy)),
		"the clock jumps forward by an hour after one report": {
			{0, drivers.Offline, suspect}, {time.Hour, drivers.Offline, suspect}, {second, drivers.Offline, suspect}, {second, drivers.Offline, unhealthy},
		},
		"the clock jumps forward by an hour after a good report": {{time.Hour, drivers.Online, healthy}, {time.Hour, drivers.Offline, suspect}},
		"the clock jumps back by an hour while Suspect": steps(every(0, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect),
			every(-time.Hour, 1, drivers.Offline, suspect), every(period, 4, drivers.Offline, suspect), every(period, 1, drivers.Offline, unhealthy)),
		"the clock jumps back and forth while Suspect": {
			{0, drivers.Offline, suspect}, {-time.Hour, drivers.Offline, suspect}, {time.Hour, drivers.Offline, suspect}, {period, drivers.Offline, unhealthy},
		},
		"the clock jumps back by an hour while Unhealthy": steps(failing, every(-time.Hour, 1, drivers.Offline, unhealthy),
			every(period, 1, drivers.Online, recovering), every(period, 14, drivers.Online, recovering), every(period, 1, drivers.Online, healthy)),
		"the clock jumps back by an hour while Recovering": steps(returning, every(period, 14, drivers.Online, recovering),
			every(-time.Hour, 1, drivers.Online, recovering), every(period, 14, drivers.Online, recovering), every(period, 1, drivers.Online, healthy)),
		"good for thirty seconds": steps(returning, every(period, 14, drivers.Online, recovering), every(period, 1, drivers.Online, healthy)),
		"Degraded and StorageDown are good too": steps(returning, every(period, 7, drivers.Degraded, recovering),
			every(period, 7, drivers.StorageDown, recovering), every(period, 1, drivers.Degraded, healthy)),
		"silence while Recovering": steps(returning, every(period, 14, drivers.Online, recovering), every(time.Minute, 9, drivers.Unknown, recovering),
			every(period, 1, drivers.Online, recovering), every(period, 14, drivers.Online, recovering), every(period, 1, drivers.Online, healthy)),
		"maintenance while Recovering": steps(returning, every(period, 14, drivers.Online, recovering), every(time.Hour, 9, drivers.Maintenance, recovering),
			every(period, 1, drivers.Online, recovering), every(period, 14, drivers.Online, recovering), every(period, 1, drivers.Online, healthy)),
		"bad once while Recovering": steps(returning, every(period, 14, drivers.Online, recovering), every(period, 1, drivers.Offline, recovering),
			every(period, 15, drivers.Online, recovering), every(period, 1, drivers.Online, healthy)),
		"bad soon after it came back, for long": steps(returning, every(period, 19, drivers.Offline, recovering), every(period, 1, drivers.Offline, unhealthy)),
		"bad long after it came back, for long": steps(returning, every(period, 14, drivers.Online, recovering), every(period, 5, drivers.Offline, recovering),
			every(period, 1, drivers.Offline, unhealthy)),
		"the clock jumps forward by an hour while Recovering and bad": steps(returning, every(period, 1, drivers.Offline, recovering),
			every(time.Hour, 1, drivers.Offline, recovering), every(period, 1, drivers.Offline, unhealthy)),
		"the clock jumps back by an hour while Recovering and bad": steps(returning, every(period, 1, drivers.Offline, recovering),
			every(-time.Hour, 1, drivers.Offline, recovering), every(period, 19, drivers.Offline, recovering), every(period, 1, drivers.Offline, unhealthy)),
		"silence for hours while Unhealthy":     steps(failing, every(time.Hour, 5, drivers.Unknown, unhealthy), every(period, 1, drivers.Offline, unhealthy)),
		"maintenance for hours while Unhealthy": steps(failing, every(time.Hour, 5, drivers.Maintenance, unhealthy), every(period, 1, drivers.Online, recovering)),
	}
)

func TestHysteresis(t *testing.T) {
	for name, steps := range hysteresis {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "a")
			for i, step := range steps {
				r.advance(step.after)
				r.say("a", step.says)
				r.Observe(of("a"))
				if got := r.verdict("a").State; got != step.want {
					t.Fatalf("after look %d (%s, %s): %s, want %s", i+1, r.clock.Now().Sub(start), step.says, got, step.want)
				}
			}
		})
	}
}

func TestEvaluateAsksToBeCalledWhenAVerdictChangesByItself(t *testing.T) {
	r := newRig(t, "a", "b")
	if _, next := r.Evaluate(); !next.Equal(start.Add(period)) {
		t.Errorf("with nothing to wait for, next = %s, want a period", next.Sub(start))
	}
	r.policy.UnhealthyAfter, r.policy.HealthyAfter = 10500*time.Millisecond, 30500*time.Millisecond
	changesAfter := func(says drivers.StorageState, during, then storagev1alpha1.HealthState, want time.Duration) {
		t.Helper()
		r.say("a", says)
		r.Observe(of("a"))
		began := r.clock.Now()
		for r.wantState("a", during); r.verdict("a").State == during; {
			_, next := r.Evaluate()
			r.clock.SetTime(next)
			r.Evaluate()
		}
		r.wantState("a", then)
		if got := r.clock.Now().Sub(began); got != want {
			t.Errorf("%s after %s, want %s", then, got, want)
		}
	}
	changesAfter(drivers.Offline, suspect, unhealthy, r.policy.UnhealthyAfter)
	changesAfter(drivers.Online, recovering, healthy, r.policy.HealthyAfter)
}

func TestFailingSinceIsTheFirstBadReportUntilHealthy(t *testing.T) {
	r := newRig(t, "a")
	r.advance(second)
	first := r.clock.Now()
	r.fail("a")
	if got := r.verdict("a").FailingSince; !got.Equal(first) {
		t.Errorf("failing since %s, want the first bad report's %s", got, first)
	}
	r.advance(-time.Hour)
	r.pass(0)
	if got := r.verdict("a").FailingSince; !got.Equal(r.clock.Now()) {
		t.Errorf("failing since %s, want %s: the clock jumped back", got, r.clock.Now())
	}
	first = r.clock.Now()
	r.say("a", drivers.Online)
	r.pass(10 * second)
	r.say("a", drivers.Offline)
	r.pass(time.Minute)
	r.wantState("a", unhealthy)
	if got := r.verdict("a").FailingSince; !got.Equal(first) {
		t.Errorf("failing since %s, want %s", got, first)
	}
	r.say("a", drivers.Online)
	r.pass(time.Minute)
	r.say("a", drivers.Offline)
	r.pass(0)
	if got := r.verdict("a").FailingSince; !got.Equal(r.clock.Now()) {
		t.Errorf("failing since %s in the next episode, want %s", got, r.clock.Now())
	}
}
