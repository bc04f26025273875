// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// slotTests are instants, and the slots that come after them.
var slotTests = map[string]struct {
	spec  *snapshotv1alpha1.SnapshotScheduleSpec
	after string
	want  []string
}{
	"a daily time that Berlin skips in spring runs at the first instant after it": {
		spec("30 2 * * *", "Europe/Berlin"), "2026-03-28T00:00:00Z",
		[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
	"a daily time that Berlin shows twice in autumn runs the first time": {
		spec("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00:00Z",
		[]string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
	"a daily time that New York skips in spring": {
		spec("30 2 * * *", "America/New_York"), "2026-03-07T12:00:00Z",
		[]string{"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
	"a daily time that New York shows twice in autumn": {
		spec("30 1 * * *", "America/New_York"), "2026-10-31T12:00:00Z",
		[]string{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
	"the half hour that Lord Howe skips in spring": {
		spec("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T00:00:00Z",
		[]string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
	"the half hour that Lord Howe shows twice in autumn": {
		spec("45 1 * * *", "Australia/Lord_Howe"), "2026-04-04T00:00:00Z",
		[]string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
	"several times within the gap run once": {
		spec("*/20 2 * * *", "Europe/Berlin"), "2026-03-28T12:00:00Z",
		[]string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
	"a time in the gap and one at its end run once": {
		spec("30 2,3 * * *", "Europe/Berlin"), "2026-03-28T12:00:00Z",
		[]string{"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
	"every hour runs each hour that is shown once": {
		spec("0 * * * *", "Europe/Berlin"), "2026-10-24T23:30:00Z",
		[]string{"2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"}},
	"@every runs each hour whatever the clocks show": {
		spec("@every 1h", "Europe/Berlin"), "2026-10-24T23:30:00Z",
		[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
	"asked within the second showing of an hour, the first is over": {
		spec("30 2 * * *", "Europe/Berlin"), "2026-10-25T01:15:00Z",
		[]string{"2026-10-26T01:30:00Z"}},
	"a midnight that Santiago skips": {
		spec("@daily", "America/Santiago"), "2026-09-05T12:00:00Z",
		[]string{"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
	"a day that Samoa never had": {
		spec("30 2 * * *", "Pacific/Apia"), "2011-12-29T13:00:00Z",
		[]string{"2011-12-30T10:00:00Z", "2011-12-30T12:30:00Z"}},
	"day 31 leaves out the months without": {
		spec("0 3 31 * *", ""), "2026-01-31T03:00:00Z",
		[]string{"2026-03-31T03:00:00Z", "2026-05-31T03:00:00Z"}},
	"29 February": {
		spec("0 0 29 2 *", ""), "2026-01-01T00:00:00Z",
		[]string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
	"29 February across a century without": {
		spec("0 0 29 2 *", ""), "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
	"day of month and day of week are either": {
		spec("0 0 13 * FRI", ""), "2026-02-07T00:00:00Z",
		[]string{"2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"}},
	"the last day of each month": {
		lastDay("30 22 * * *"), "2028-01-15T00:00:00Z",
		[]string{"2028-01-31T22:30:00Z", "2028-02-29T22:30:00Z", "2028-03-31T22:30:00Z", "2028-04-30T22:30:00Z"}},
	"the last day of each quarter, twice": {
		lastDay("0 6,18 * 3,6,9,12 *"), "2026-03-31T12:00:00Z",
		[]string{"2026-03-31T18:00:00Z", "2026-06-30T06:00:00Z"}},
	"the last day is the zone's": {
		&snapshotv1alpha1.SnapshotScheduleSpec{Schedule: "0 22 * * *", TimeZone: "America/New_York", LastDayOfMonth: true}, "2026-01-15T00:00:00Z",
		[]string{"2026-02-01T03:00:00Z"}},
}

func TestSlots(t *testing.T) {
	for name, tc := range slotTests {
		t.Run(name, func(t *testing.T) {
			schedule, errs := Parse(tc.spec, at(t, tc.after))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			var got []string
			for _, slot := range schedule.NextN(at(t, tc.after), len(tc.want)) {
				got = append(got, slot.Format(time.RFC3339))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("slots (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryDoesNotDrift(t *testing.T) {
	created := at(t, "2020-02-29T12:34:56Z")
	schedule := mustParse(t, "@every 24h", "Europe/Berlin", created)
	for _, days := range []int{1, 400, 4000} {
		want := created.Add(time.Duration(days) * 24 * time.Hour)
		if got := schedule.Next(want.Add(-37 * time.Minute)); !got.Equal(want) {
			t.Errorf("after %d days the slot is %s, want %s", days, got, want)
		}
		if got := schedule.Latest(want.Add(37 * time.Minute)); !got.Equal(want) {
			t.Errorf("after %d days the latest slot is %s, want %s", days, got, want)
		}
	}
	if got := schedule.Next(created.AddDate(-1, 0, 0)); !got.Equal(created.Add(24 * time.Hour)) {
		t.Errorf("the first slot is %s", got)
	}
	if got := schedule.Latest(created.Add(time.Hour)); !got.IsZero() {
		t.Errorf("before the first slot there is %s", got)
	}
}

func TestDelayIsStableAndWithin(t *testing.T) {
	const jitter = 10 * time.Minute
	seen := map[time.Duration]bool{}
	for i := range 200 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		delay := Delay("ns", name, jitter)
		if delay < 0 || delay >= jitter || delay%time.Second != 0 {
			t.Errorf("%s is delayed by %s", name, delay)
		}
		if again := Delay("ns", name, jitter); again != delay {
			t.Errorf("%s is delayed by %s, then by %s", name, delay, again)
		}
		seen[delay] = true
	}
	if len(seen) < 100 {
		t.Errorf("200 schedules start at %d times", len(seen))
	}
	if Delay("a", "b", jitter) == Delay("b", "a", jitter) {
		t.Error("namespaces do not count")
	}
	if delay := Delay("a", "b", 0); delay != 0 {
		t.Errorf("without jitter the delay is %s", delay)
	}
}
