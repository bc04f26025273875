// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"time"

	"github.com/robfig/cron/v3"
)

const (
	// star is the bit that the parser sets for a field that is "*" or "?".
	star = uint64(1) << 63
	// lastYear is the last year that metav1.Time can write.
	lastYear = 9999
	// farthest is how far apart two slots may be: 29 February is eight years apart around 2100, and 40 with a weekday.
	farthest = 41
	// parserYears is how far the parser looks ahead.
	parserYears = 5
	// widest is more than any zone is away from UTC.
	widest = 27 * time.Hour
)

// calendar is due when the clocks of a zone show certain times. It asks the cron schedule in a calendar without changes of
// the clock ("wall" below: the time shown, written as if it were UTC), and only then looks for the instant.
type calendar struct {
	cron    *cron.SpecSchedule
	zone    *time.Location
	lastDay bool
}

func newCalendar(parsed *cron.SpecSchedule, zone *time.Location, lastDay bool) *calendar {
	unzoned := *parsed
	unzoned.Location = time.UTC
	if lastDay {
		unzoned.Dom = 1<<28 | 1<<29 | 1<<30 | 1<<31
	}
	return &calendar{cron: &unzoned, zone: zone, lastDay: lastDay}
}

func (c *calendar) next(after time.Time) time.Time {
	wall := c.nextWall(c.shownUntil(after))
	if wall.IsZero() {
		return time.Time{}
	}
	return c.firstShown(wall)
}

// latest halves the time in which the last slot must lie, because the parser knows no way back.
func (c *calendar) latest(at time.Time) time.Time {
	var found time.Time
	for width := time.Hour; found.IsZero(); width *= 2 {
		if slot := c.next(at.Add(-width)); !slot.IsZero() && !slot.After(at) {
			found = slot
		} else if width > farthest*366*24*time.Hour {
			return time.Time{}
		}
	}
	for low, high := found, at; high.Sub(low) > time.Second; {
		middle := low.Add(high.Sub(low) / 2)
		if slot := c.next(middle); !slot.IsZero() && !slot.After(at) {
			found, low = slot, slot
		} else {
			high = middle
		}
	}
	return found
}

// nextWall is the first time after wall that the expression names.
func (c *calendar) nextWall(wall time.Time) time.Time {
	for ahead := 0; ahead <= farthest; ahead += parserYears {
		if wall.Year()+ahead > lastYear-parserYears {
			break
		}
		if next := c.withinReach(wall.AddDate(ahead, 0, 0)); !next.IsZero() {
			return next
		}
	}
	return time.Time{}
}

func (c *calendar) withinReach(wall time.Time) time.Time {
	next := c.cron.Next(wall)
	for c.lastDay && !next.IsZero() && next.AddDate(0, 0, 1).Day() != 1 {
		next = c.cron.Next(time.Date(next.Year(), next.Month(), next.Day(), 23, 59, 59, 0, time.UTC))
	}
	return next
}

// firstShown is the first instant at which the clocks of the zone show wall or later.
func (c *calendar) firstShown(wall time.Time) time.Time {
	at := wall.Add(-widest)
	for {
		_, end := at.In(c.zone).ZoneBounds()
		instant := wall.Add(-c.offset(at))
		if instant.Before(at) {
			return at.UTC() // the clocks went past it when this offset began
		}
		if end.IsZero() || instant.Before(end) {
			return instant.UTC()
		}
		at = end
	}
}

// shownUntil is the latest time that the clocks of the zone have shown at that instant or before: after they went back, it
// is ahead of what they show. Each later time is first shown after the instant.
func (c *calendar) shownUntil(instant time.Time) time.Time {
	instant = instant.UTC()
	shown := instant.Add(c.offset(instant))
	for at := instant; ; {
		start, _ := at.In(c.zone).ZoneBounds()
		if start.IsZero() || start.Before(instant.Add(-2*widest)) {
			return shown
		}
		at = start.Add(-time.Second).UTC()
		if before := at.Add(c.offset(at)); before.After(shown) {
			shown = before
		}
	}
}

func (c *calendar) offset(at time.Time) time.Duration {
	_, seconds := at.In(c.zone).Zone()
	return time.Duration(seconds) * time.Second
}
