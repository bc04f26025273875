// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // The manager's image has no zone files.

	"github.com/robfig/cron/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// MinInterval is how close two slots may be.
	MinInterval = time.Minute
	// MaxInterval is the most that @every may ask for.
	MaxInterval = 366 * 24 * time.Hour

	maxJitter          = 24 * time.Hour
	minDeadline        = 10 * time.Second
	every              = "@every"
	allowedExpressions = "allowed are five cron fields (minute hour day-of-month month day-of-week), @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, and @every with a duration"
)

// Schedule has the slots of one SnapshotSchedule. It does not change, and may be used by several goroutines.
type Schedule struct {
	zone *time.Location
	// times is one of *calendar and interval.
	times times
}

// times are slots, in any order of questions.
type times interface {
	// next is the first slot after an instant, or zero.
	next(after time.Time) time.Time
	// latest is the last slot that is not after an instant, or zero.
	latest(at time.Time) time.Time
}

// Parse reads what spec says about time. created is when the schedule was: @every counts from it. With errors there is no
// schedule; each names the field, the value and what is allowed.
func Parse(spec *snapshotv1alpha1.SnapshotScheduleSpec, created time.Time) (*Schedule, field.ErrorList) {
	path := field.NewPath("spec")
	var errors field.ErrorList
	zone, err := Zone(spec.TimeZone)
	if err != nil {
		errors = append(errors, err)
		zone = time.UTC
	}
	errors = append(errors, checkDurations(spec, path)...)
	times, err := parse(spec, zone, created.Truncate(time.Second))
	if err != nil {
		errors = append(errors, err)
	}
	if len(errors) > 0 {
		return nil, errors
	}
	return &Schedule{zone: zone, times: times}, nil
}

// Zone is the time zone of that IANA name. Without a name it is UTC.
func Zone(name string) (*time.Location, *field.Error) {
	path := field.NewPath("spec", "timeZone")
	const allowed = "allowed is the IANA name of a time zone, as Europe/Berlin, or nothing for UTC"
	switch lower := strings.ToLower(name); {
	case lower == "local" || lower == "localtime" || lower == "posixrules":
		return nil, field.Invalid(path, name, "is whatever zone this process runs in; "+allowed)
	case strings.HasPrefix(lower, "right/") || strings.HasPrefix(lower, "posix/"):
		return nil, field.Invalid(path, name, "is a file of zones and not a zone's name; "+allowed)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, field.Invalid(path, name, "is not known; "+allowed)
	}
	return zone, nil
}

func checkDurations(spec *snapshotv1alpha1.SnapshotScheduleSpec, path *field.Path) field.ErrorList {
	var errors field.ErrorList
	if jitter := spec.Jitter.Duration; jitter < 0 || jitter > maxJitter {
		errors = append(errors, field.Invalid(path.Child("jitter"), jitter.String(), "allowed is 0s to 24h"))
	}
	if deadline := spec.StartingDeadline; deadline != nil && deadline.Duration < minDeadline {
		errors = append(errors, field.Invalid(path.Child("startingDeadline"), deadline.Duration.String(), "allowed is 10s or more"))
	}
	return errors
}

func parse(spec *snapshotv1alpha1.SnapshotScheduleSpec, zone *time.Location, created time.Time) (times, *field.Error) {
	path, expression := field.NewPath("spec", "schedule"), strings.TrimSpace(spec.Schedule)
	// The parser takes a zone in front of the expression, and panics where no space follows it.
	if strings.Contains(expression, "TZ=") {
		return nil, field.Invalid(path, spec.Schedule, "must not have a time zone: that goes into timeZone")
	}
	if strings.HasPrefix(expression, every) {
		return parseEvery(spec, expression, created)
	}
	parsed, err := parseCron(expression)
	if err != nil {
		return nil, field.Invalid(path, spec.Schedule, fmt.Sprintf("cannot be read: %v; %s", err, allowedExpressions))
	}
	if spec.LastDayOfMonth && (parsed.Dom&star == 0 || parsed.Dow&star == 0) {
		return nil, field.Invalid(path, spec.Schedule, "names days, and lastDayOfMonth names another; allowed with lastDayOfMonth is * for day-of-month and day-of-week")
	}
	calendar := newCalendar(parsed, zone, spec.LastDayOfMonth)
	if calendar.next(created).IsZero() {
		return nil, field.Invalid(path, spec.Schedule, "is never due: no month has such a day; "+allowedExpressions)
	}
	return calendar, nil
}

// parseCron keeps a panic of the parser from being one of the manager.
func parseCron(expression string) (schedule *cron.SpecSchedule, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			schedule, err = nil, fmt.Errorf("the parser gave up: %v", panicked)
		}
	}()
	parsed, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, err
	}
	schedule, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("it is no cron expression")
	}
	for _, values := range []uint64{schedule.Minute, schedule.Hour, schedule.Dom, schedule.Month, schedule.Dow} {
		if values&^star == 0 {
			return nil, fmt.Errorf("a field has no value")
		}
	}
	return schedule, nil
}

func parseEvery(spec *snapshotv1alpha1.SnapshotScheduleSpec, expression string, created time.Time) (times, *field.Error) {
	path := field.NewPath("spec", "schedule")
	const allowed = "allowed after @every is a duration of whole seconds from 1m to 8784h, as @every 90m"
	if spec.LastDayOfMonth {
		return nil, field.Invalid(path, spec.Schedule, "names no time of day, which lastDayOfMonth needs; allowed with lastDayOfMonth is a cron expression with * for day-of-month and day-of-week")
	}
	rest := strings.TrimPrefix(expression, every)
	length, err := time.ParseDuration(strings.TrimSpace(rest))
	if err != nil || rest == strings.TrimLeft(rest, " \t") {
		return nil, field.Invalid(path, spec.Schedule, "cannot be read; "+allowed)
	}
	if length < MinInterval || length > MaxInterval || length%time.Second != 0 {
		return nil, field.Invalid(path, spec.Schedule, allowed)
	}
	return interval{from: created, length: length}, nil
}

// Zone is the zone that the schedule's days, weeks and months are of.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Next is the first slot after an instant. It is zero only where the years end that Kubernetes can write.
func (s *Schedule) Next(after time.Time) time.Time { return s.times.next(after) }

// Latest is the last slot that is not after an instant, or zero where there is none.
func (s *Schedule) Latest(at time.Time) time.Time { return s.times.latest(at) }

// NextN are the first n slots after an instant.
func (s *Schedule) NextN(after time.Time, n int) []time.Time {
	slots := make([]time.Time, 0, n)
	for range n {
		if after = s.Next(after); after.IsZero() {
			break
		}
		slots = append(slots, after)
	}
	return slots
}

// DeadlineOf is the starting deadline of a spec, or nil.
func DeadlineOf(deadline *metav1.Duration) *time.Duration {
	if deadline == nil {
		return nil
	}
	return &deadline.Duration
}
