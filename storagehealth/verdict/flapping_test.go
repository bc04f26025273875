// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"math/rand/v2"
	"testing"
	"time"

	"roost.dev/roost/drivers"
)

// failures are the times at which the node became Unhealthy.
type failures []time.Time

// flap lets the storage be in each state for as long as it says, in turn, and evaluates as the controller does.
func (r *rig) flap(node string, total time.Duration, next func() (drivers.StorageState, time.Duration)) failures {
	var became failures
	for end := r.clock.Now().Add(total); r.clock.Now().Before(end); {
		state, lasts := next()
		r.say(node, state)
		for until := r.clock.Now().Add(lasts); ; {
			was := r.verdict(node).State
			_, evaluate := r.Evaluate()
			if r.verdict(node).State == unhealthy && was != unhealthy {
				became = append(became, r.clock.Now())
			}
			if !evaluate.Before(until) {
				r.clock.SetTime(until)
				break
			}
			r.clock.SetTime(evaluate)
		}
	}
	return became
}

// inTurn is Offline and Online in turn, for the same time.
func inTurn(lasts time.Duration) func() (drivers.StorageState, time.Duration) {
	state := drivers.Online
	return func() (drivers.StorageState, time.Duration) {
		if state == drivers.Online {
			state = drivers.Offline
		} else {
			state = drivers.Online
		}
		return state, lasts
	}
}

func TestFlappingEveryFiveSeconds(t *testing.T) {
	t.Run("moves no pod of a node that was good", func(t *testing.T) {
		r := newRig(t, "a")
		if got := r.flap("a", 5*time.Minute, inTurn(5*second)); len(got) != 0 {
			t.Errorf("became Unhealthy at %s, want never", got)
		}
	})
	t.Run("moves no pod again of a node that failed, and brings none back", func(t *testing.T) {
		r := newRig(t, "a")
		r.fail("a")
		if got := r.flap("a", 5*time.Minute, inTurn(5*second)); len(got) != 0 {
			t.Errorf("became Unhealthy again at %s, want never", got)
		}
		r.wantState("a", recovering)
	})
	t.Run("seen by events as well", func(t *testing.T) {
		r := newRig(t, "a")
		next := inTurn(5 * second)
		for range 60 {
			state, lasts := next()
			r.say("a", state)
			for range 50 {
				r.Observe(of("a"))
				r.advance(lasts / 50)
				if r.verdict("a").Failed() {
					t.Fatalf("failed at %s", r.clock.Now().Sub(start))
				}
			}
		}
	})
}

func TestFlappingWithAnyPeriodFailsAtMostOnceInBothTimesTogether(t *testing.T) {
	atLeast := testPolicy.UnhealthyAfter + testPolicy.HealthyAfter
	states := []drivers.StorageState{drivers.Online, drivers.Offline, drivers.Offline, drivers.Offline, drivers.Unknown, drivers.Degraded, drivers.Maintenance}
	total := 0
	check := func(t *testing.T, got failures) {
		t.Helper()
		total += len(got)
		for i := 1; i < len(got); i++ {
			if apart := got[i].Sub(got[i-1]); apart < atLeast {
				t.Errorf("Unhealthy at %s and again %s later, want at least %s", got[i-1].Sub(start), apart, atLeast)
			}
		}
	}
	for lasts := second; lasts <= time.Minute; lasts += 500 * time.Millisecond {
		check(t, newRig(t, "a").flap("a", 20*time.Minute, inTurn(lasts)))
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 3))
		longest := 1 + random.IntN(60000)
		check(t, newRig(t, "a").flap("a", 20*time.Minute, func() (drivers.StorageState, time.Duration) {
			return states[random.IntN(len(states))], time.Duration(1+random.IntN(longest)) * time.Millisecond
		}))
	}
	if total < 1000 {
		t.Errorf("only %d failures in all: the test shows nothing", total)
	}
}

func TestNoNodeFailsThatWasNotBadForLongEnoughJustBefore(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 5))
		r := newRig(t, "a")
		badFor := time.Duration(0)
		got := r.flap("a", 10*time.Minute, func() (drivers.StorageState, time.Duration) {
			lasts := time.Duration(1+random.IntN(3000)) * time.Millisecond
			if random.IntN(4) == 0 || badFor+lasts >= testPolicy.UnhealthyAfter {
				badFor = 0
				return drivers.Online, lasts
			}
			badFor += lasts
			return drivers.Offline, lasts
		})
		if len(got) != 0 {
			t.Fatalf("seed %d: became Unhealthy at %s, though never bad for %s", seed, got, testPolicy.UnhealthyAfter)
		}
	}
}
