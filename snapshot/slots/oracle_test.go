// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fields is a cron expression as sets of numbers. A nil set is *.
type fields struct{ minute, hour, day, month, weekday []int }

func (f fields) expression() string {
	parts := make([]string, 0, 5)
	for _, set := range [][]int{f.minute, f.hour, f.day, f.month, f.weekday} {
		if set == nil {
			parts = append(parts, "*")
			continue
		}
		parts = append(parts, strings.Trim(strings.ReplaceAll(fmt.Sprint(set), " ", ","), "[]"))
	}
	return strings.Join(parts, " ")
}

// names says whether the expression names what a clock shows.
func (f fields) names(shown time.Time) bool {
	has := func(set []int, value int) bool { return set == nil || slices.Contains(set, value) }
	if !has(f.minute, shown.Minute()) || !has(f.hour, shown.Hour()) || !has(f.month, int(shown.Month())) {
		return false
	}
	day, weekday := has(f.day, shown.Day()), has(f.weekday, int(shown.Weekday()))
	if f.day != nil && f.weekday != nil {
		return day || weekday
	}
	return day && weekday
}

// oracle steps through the minutes of a zone and writes down when its clock shows, or leaps over, a time that the
// expression names and that it did not show before.
func oracle(f fields, zone *time.Location, from, to time.Time) []time.Time {
	shown := func(instant time.Time) time.Time {
		local := instant.In(zone)
		return time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
	}
	var slots []time.Time
	// Two days earlier, so that what was shown before from is known.
	furthest := shown(from.Add(-48 * time.Hour))
	for instant := from.Add(-48 * time.Hour); instant.Before(to); instant = instant.Add(time.Minute) {
		due := false
		for target := shown(instant); furthest.Before(target); {
			furthest = furthest.Add(time.Minute)
			due = due || f.names(furthest)
		}
		if due && instant.After(from) {
			slots = append(slots, instant)
		}
	}
	return slots
}

func randomFields(random *rand.Rand) fields {
	some := func(low, high, atMost int) []int {
		if random.IntN(3) == 0 {
			return nil
		}
		set := map[int]bool{}
		for range 1 + random.IntN(atMost) {
			set[low+random.IntN(high-low+1)] = true
		}
		var sorted []int
		for value := range set {
			sorted = append(sorted, value)
		}
		slices.Sort(sorted)
		return sorted
	}
	f := fields{minute: some(0, 59, 4), hour: some(0, 4, 3)}
	if random.IntN(4) == 0 {
		f.day, f.weekday = some(1, 31, 9), some(0, 6, 3)
	}
	return f
}

// TestSlotsAreThoseOfASlowOracle compares with an oracle that knows no zone arithmetic: it looks at a clock each minute.
func TestSlotsAreThoseOfASlowOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2026))
	for _, where := range []struct {
		zone string
		days []string
	}{
		{"Europe/Berlin", []string{"2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"}},
		{"America/New_York", []string{"2026-03-08T00:00:00Z", "2026-11-01T00:00:00Z"}},
		{"Australia/Lord_Howe", []string{"2026-04-05T00:00:00Z", "2026-10-04T00:00:00Z"}},
		{"America/Santiago", []string{"2026-04-05T00:00:00Z", "2026-09-06T00:00:00Z"}},
		{"Pacific/Apia", []string{"2011-12-30T00:00:00Z"}},
		{"Asia/Kathmandu", []string{"2026-06-01T00:00:00Z"}},
	} {
		zone, err := time.LoadLocation(where.zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range where.days {
			from, to := at(t, day).Add(-36*time.Hour), at(t, day).Add(48*time.Hour)
			for range 40 {
				compare(t, randomFields(random), zone, from, to)
			}
		}
	}
}

func compare(t *testing.T, f fields, zone *time.Location, from, to time.Time) {
	t.Helper()
	schedule := mustParse(t, f.expression(), zone.String(), from)
	var got []time.Time
	for slot := schedule.Next(from); slot.Before(to); slot = schedule.Next(slot) {
		got = append(got, slot)
		if latest := schedule.Latest(slot.Add(59 * time.Second)); !latest.Equal(slot) {
			t.Fatalf("%q in %s: the latest slot at %s is %s", f.expression(), zone, slot, latest)
		}
	}
	if diff := cmp.Diff(oracle(f, zone, from, to), got); diff != "" {
		t.Fatalf("%q in %s from %s (-oracle +got):\n%s", f.expression(), zone, from, diff)
	}
}
