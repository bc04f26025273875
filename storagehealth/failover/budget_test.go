// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

func TestBudget(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Date(2026, 11, 1, 2, 59, 0, 0, time.UTC))
	b := newBudget(2, clock)
	take := func(pod string, want bool) {
		t.Helper()
		if _, got := b.take(types.UID(pod)); got != want {
			t.Errorf("take(%s) at %s = %t, want %t", pod, clock.Now().Format(time.TimeOnly), got, want)
		}
	}
	take("a", true)
	clock.Step(30 * time.Second)
	take("b", true)
	take("c", false)
	take("a", true) // counted already
	clock.Step(30 * time.Second)
	take("c", true) // a's minute is over
	take("d", false)
	if undo, ok := b.take("c"); ok {
		undo() // counted before, so it stays
	}
	take("d", false)
	clock.SetTime(clock.Now().Add(-time.Hour))
	take("d", true) // a clock that was set back does not stop everything for an hour
}

func TestBudgetInAnyMinute(t *testing.T) {
	const limit = 10
	clock := testingclock.NewFakeClock(time.Date(2026, 11, 1, 2, 59, 0, 0, time.UTC))
	b := newBudget(limit, clock)
	var taken []time.Time
	for i := range 2000 {
		if _, ok := b.take(types.UID(fmt.Sprint(i))); ok {
			taken = append(taken, clock.Now())
		}
		clock.Step(370 * time.Millisecond)
	}
	for i := limit; i < len(taken); i++ {
		if apart := taken[i].Sub(taken[i-limit]); apart < time.Minute {
			t.Fatalf("%d pods within %s", limit+1, apart)
		}
	}
	if want := 2000 * 370 / 60000 * limit; len(taken) < want {
		t.Errorf("%d pods were moved, want at least %d", len(taken), want)
	}
}

func TestBudgetOfWhatDidNotMove(t *testing.T) {
	b := newBudget(1, testingclock.NewFakeClock(time.Date(2026, 11, 1, 2, 59, 0, 0, time.UTC)))
	undo, _ := b.take("a")
	undo()
	if _, ok := b.take("b"); !ok {
		t.Error("a pod that did not move used up the budget")
	}
}
