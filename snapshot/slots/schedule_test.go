// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func spec(schedule, zone string) *snapshotv1alpha1.SnapshotScheduleSpec {
	return &snapshotv1alpha1.SnapshotScheduleSpec{Schedule: schedule, TimeZone: zone}
}

func mustParse(t *testing.T, schedule, zone string, created time.Time) *Schedule {
	t.Helper()
	parsed, errs := Parse(spec(schedule, zone), created)
	if len(errs) > 0 {
		t.Fatalf("Parse(%q, %q): %v", schedule, zone, errs)
	}
	return parsed
}

// at reads an instant.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spec  *snapshotv1alpha1.SnapshotScheduleSpec
		field string
		wants []string
	}{
		"a zone that makes the parser panic":           {spec("TZ=0", ""), "spec.schedule", []string{"TZ=0", "timeZone"}},
		"a longer one":                                 {spec("TZ=00000", ""), "spec.schedule", []string{"timeZone"}},
		"a zone without a space behind it":             {spec("CRON_TZ=UTC", ""), "spec.schedule", []string{"timeZone"}},
		"a zone that the parser would take":            {spec("CRON_TZ=UTC 0 3 * * *", ""), "spec.schedule", []string{"timeZone"}},
		"a zone behind a space":                        {spec("  TZ=0", ""), "spec.schedule", []string{"timeZone"}},
		"30 February":                                  {spec("0 0 30 2 *", ""), "spec.schedule", []string{"0 0 30 2 *", "never"}},
		"the 31st of months that have 30 days":         {spec("0 0 31 2,4,6,9,11 *", ""), "spec.schedule", []string{"never"}},
		"minute 61":                                    {spec("61 25 * * *", ""), "spec.schedule", []string{"61", "five cron fields"}},
		"a field of commas":                            {spec(", * * * *", ""), "spec.schedule", []string{"no value"}},
		"seconds":                                      {spec("0 0 3 * * *", ""), "spec.schedule", []string{"five cron fields"}},
		"weekday 7":                                    {spec("0 0 * * 7", ""), "spec.schedule", []string{"five cron fields"}},
		"L for the last day":                           {spec("0 0 L * *", ""), "spec.schedule", []string{"five cron fields"}},
		"a name that goes on":                          {spec("@hourlyXYZ", ""), "spec.schedule", []string{"@hourly"}},
		"nothing":                                      {spec(" ", ""), "spec.schedule", []string{"five cron fields"}},
		"a negative interval":                          {spec("@every -1h", ""), "spec.schedule", []string{"@every -1h", "1m"}},
		"an interval under a minute":                   {spec("@every 59s", ""), "spec.schedule", []string{"1m"}},
		"an interval that metav1.Time cannot write":    {spec("@every 61s500ms", ""), "spec.schedule", []string{"whole seconds"}},
		"an interval of decades":                       {spec("@every 200000h", ""), "spec.schedule", []string{"8784h"}},
		"an interval without a space":                  {spec("@every1h", ""), "spec.schedule", []string{"1m"}},
		"an interval of nothing":                       {spec("@every", ""), "spec.schedule", []string{"1m"}},
		"the zone of the process":                      {spec("@daily", "Local"), "spec.timeZone", []string{"Local", "IANA"}},
		"the zone of the process, by its file":         {spec("@daily", "localtime"), "spec.timeZone", []string{"IANA"}},
		"a zone with leap seconds":                     {spec("@daily", "right/Europe/Berlin"), "spec.timeZone", []string{"IANA"}},
		"a zone that is not one":                       {spec("@daily", "Europe/Nowhere"), "spec.timeZone", []string{"Europe/Nowhere", "IANA"}},
		"a zone that leads elsewhere":                  {spec("@daily", "../../etc/passwd"), "spec.timeZone", []string{"IANA"}},
		"a last day with another day":                  {lastDay("0 3 15 * *"), "spec.schedule", []string{"lastDayOfMonth"}},
		"a last day with a weekday":                    {lastDay("0 3 * * MON"), "spec.schedule", []string{"lastDayOfMonth"}},
		"a last day with @weekly":                      {lastDay("@weekly"), "spec.schedule", []string{"lastDayOfMonth"}},
		"a last day with an interval":                  {lastDay("@every 1h"), "spec.schedule", []string{"lastDayOfMonth"}},
		"a negative jitter":                            {with(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Jitter.Duration = -1 }), "spec.jitter", []string{"24h"}},
		"a jitter of days":                             {with(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Jitter.Duration = 25 * time.Hour }), "spec.jitter", []string{"25h0m0s", "24h"}},
		"a starting deadline that no clock could meet": {with(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.StartingDeadline = &metav1.Duration{} }), "spec.startingDeadline", []string{"0s", "10s"}},
	} {
		t.Run(name, func(t *testing.T) {
			schedule, errs := Parse(tc.spec, at(t, "2026-01-01T00:00:00Z"))
			if schedule != nil || len(errs) != 1 {
				t.Fatalf("Parse gave %v and %v, want one error", schedule, errs)
			}
			if errs[0].Field != tc.field {
				t.Errorf("the error is about %s, want %s", errs[0].Field, tc.field)
			}
			for _, want := range tc.wants {
				if !strings.Contains(errs[0].Error(), want) {
					t.Errorf("the error %q does not say %q", errs[0], want)
				}
			}
		})
	}
}

func TestParseNamesAllThatIsWrong(t *testing.T) {
	_, errs := Parse(&snapshotv1alpha1.SnapshotScheduleSpec{Schedule: "TZ=0", TimeZone: "Local", Jitter: metav1.Duration{Duration: -1}}, time.Time{})
	if len(errs) != 3 {
		t.Errorf("got %v, want three errors", errs)
	}
}

// TestThePanicIsCaught takes the check for TZ= away: what is left is that the parser's panic becomes an error.
func TestThePanicIsCaught(t *testing.T) {
	if _, err := parseCron("TZ=0"); err == nil || !strings.Contains(err.Error(), "gave up") {
		t.Errorf("got %v", err)
	}
}

func lastDay(schedule string) *snapshotv1alpha1.SnapshotScheduleSpec {
	return &snapshotv1alpha1.SnapshotScheduleSpec{Schedule: schedule, LastDayOfMonth: true}
}

func with(change func(*snapshotv1alpha1.SnapshotScheduleSpec)) *snapshotv1alpha1.SnapshotScheduleSpec {
	changed := spec("@daily", "")
	change(changed)
	return changed
}

func FuzzParse(f *testing.F) {
	for _, expression := range []string{"TZ=0", "CRON_TZ=UTC", "0 0 30 2 *", "0 0 29 2 1", "*/7 1-5/2 * jan-mar ?", "@every 1h", "@every -1h", "@daily", ",", "0-59/9223372036854775807 * * * *", "? ? ? ? ?"} {
		f.Add(expression, "Australia/Lord_Howe", false, int64(1774746000))
		f.Add(expression, "", true, int64(-62135596800))
	}
	f.Fuzz(func(t *testing.T, expression, zone string, lastDay bool, seconds int64) {
		from := time.Unix(seconds%253402300800, 0).UTC()
		schedule, errs := Parse(&snapshotv1alpha1.SnapshotScheduleSpec{Schedule: expression, TimeZone: zone, LastDayOfMonth: lastDay}, from)
		if (schedule == nil) == (len(errs) == 0) {
			t.Fatalf("schedule %v with errors %v", schedule, errs)
		}
		if schedule == nil {
			return
		}
		for _, slot := range schedule.NextN(from, 4) {
			if slot.Sub(from) <= 0 || slot.Nanosecond() != 0 {
				t.Fatalf("%q in %q: slot %s after %s", expression, zone, slot, from)
			}
			if latest := schedule.Latest(slot.Add(time.Second - 1)); !latest.Equal(slot) {
				t.Fatalf("%q in %q: the latest slot at %s is %s", expression, zone, slot, latest)
			}
			from = slot
		}
	})
}
