// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDue(t *testing.T) {
	hour := time.Hour
	for name, tc := range map[string]struct {
		schedule   string
		after, now string
		delay      time.Duration
		deadline   *time.Duration
		want       Answer
	}{
		"nothing before the first slot":       {schedule: "0 * * * *", after: "2026-01-01T00:30:00Z", now: "2026-01-01T00:59:59Z"},
		"the slot as it comes":                {schedule: "0 * * * *", after: "2026-01-01T00:30:00Z", now: "2026-01-01T01:00:00Z", want: Answer{Run: at(t, "2026-01-01T01:00:00Z")}},
		"nothing that was before":             {schedule: "0 * * * *", after: "2026-01-01T01:00:00Z", now: "2026-01-01T01:30:00Z"},
		"with jitter not yet":                 {schedule: "0 * * * *", after: "2026-01-01T00:30:00Z", now: "2026-01-01T01:04:59Z", delay: 5 * time.Minute},
		"with jitter, by the slot's own time": {schedule: "0 * * * *", after: "2026-01-01T00:30:00Z", now: "2026-01-01T01:05:00Z", delay: 5 * time.Minute, want: Answer{Run: at(t, "2026-01-01T01:00:00Z")}},
		"of three the latest": {schedule: "0 * * * *", after: "2026-01-01T00:30:00Z", now: "2026-01-01T03:30:00Z",
			want: Answer{Run: at(t, "2026-01-01T03:00:00Z"), Missed: 2, LastMissed: at(t, "2026-01-01T02:00:00Z")}},
		"exactly at the deadline": {schedule: "0 3 * * *", after: "2026-01-01T00:00:00Z", now: "2026-01-01T04:00:00Z", deadline: &hour,
			want: Answer{Run: at(t, "2026-01-01T03:00:00Z")}},
		"past the deadline": {schedule: "0 3 * * *", after: "2026-01-01T00:00:00Z", now: "2026-01-01T04:00:01Z", deadline: &hour,
			want: Answer{Missed: 1, LastMissed: at(t, "2026-01-01T03:00:00Z")}},
		"the deadline counts from the start, not from the slot": {schedule: "0 3 * * *", after: "2026-01-01T00:00:00Z", now: "2026-01-01T04:20:00Z", delay: 30 * time.Minute, deadline: &hour,
			want: Answer{Run: at(t, "2026-01-01T03:00:00Z")}},
		"past midnight": {schedule: "30 23 * * *", after: "2026-01-01T00:00:00Z", now: "2026-01-02T00:10:00Z", deadline: &hour,
			want: Answer{Run: at(t, "2026-01-01T23:30:00Z")}},
		"a clock that jumped years ahead": {schedule: "* * * * *", after: "2026-01-01T00:00:00Z", now: "2126-01-01T00:00:30Z",
			want: Answer{Run: at(t, "2126-01-01T00:00:00Z"), Missed: MaxMissed, LastMissed: at(t, "2125-12-31T23:59:00Z")}},
		"a clock that jumped years ahead, with @every": {schedule: "@every 1m", after: "2026-01-01T00:00:00Z", now: "2726-01-01T00:00:30Z",
			want: Answer{Run: at(t, "2726-01-01T00:00:00Z"), Missed: MaxMissed, LastMissed: at(t, "2725-12-31T23:59:00Z")}},
		"a clock that jumped back":           {schedule: "0 * * * *", after: "2026-01-01T12:00:00Z", now: "2026-01-01T10:30:00Z"},
		"a clock that jumped back for years": {schedule: "0 * * * *", after: "2046-01-01T12:00:00Z", now: "2026-01-01T10:30:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			schedule := mustParse(t, tc.schedule, "", at(t, "2025-12-31T00:00:00Z"))
			got := schedule.Due(Question{After: at(t, tc.after), Now: at(t, tc.now), Delay: tc.delay, Deadline: tc.deadline})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEachSlotRunsOnce walks through a month with a clock that stands, runs, and jumps both ways.
func TestEachSlotRunsOnce(t *testing.T) {
	created := at(t, "2026-03-15T00:00:00Z")
	schedule := mustParse(t, "*/30 * * * *", "Europe/Berlin", created)
	last, now, made := created, created, map[time.Time]int{}
	for step := range 20000 {
		switch {
		case step%997 == 0:
			now = now.Add(7 * time.Hour)
		case step%499 == 0:
			now = now.Add(-3 * time.Hour)
		default:
			now = now.Add(time.Duration(step%5) * time.Minute)
		}
		if answer := schedule.Due(Question{After: last, Now: now}); !answer.Run.IsZero() {
			last = answer.Run
			made[answer.Run]++
		}
	}
	if len(made) < 100 {
		t.Errorf("only %d slots were due", len(made))
	}
	for slot, times := range made {
		if times != 1 {
			t.Errorf("%s was due %d times", slot, times)
		}
	}
}
