// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import "time"

// interval is due each time that its length has passed since it began. It counts from there and not from the last run, so
// that it does not drift.
type interval struct {
	from   time.Time
	length time.Duration
}

func (i interval) next(after time.Time) time.Time {
	if after.Before(i.from) {
		return i.from.Add(i.length).UTC()
	}
	next := i.floor(after).Add(i.length)
	if next.Year() > lastYear {
		return time.Time{}
	}
	return next
}

func (i interval) latest(at time.Time) time.Time {
	if at.Before(i.from.Add(i.length)) {
		return time.Time{}
	}
	return i.floor(at)
}

// floor is the last multiple since from that is not after at. In seconds, because a time.Duration ends after 292 years.
func (i interval) floor(at time.Time) time.Time {
	passed, length := at.Unix()-i.from.Unix(), int64(i.length/time.Second)
	return time.Unix(i.from.Unix()+passed/length*length, 0).UTC()
}
