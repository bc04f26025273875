// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"time"

	"roost.dev/roost/drivers"
)

// Observation is what is known of a node's storage at one moment.
type Observation struct {
	// Report is what the storage system says.
	Report drivers.NodeReport
	// Maintenance is what the operator wants: spec.maintenance of the StorageNode.
	Maintenance bool
}

// kind is all that matters of an observation for the state.
type kind uint8

const (
	// unseen is before the first observation.
	unseen kind = iota
	silent
	good
	bad
	outOfService
)

func (o Observation) kind() kind {
	if o.Maintenance {
		return outOfService
	}
	switch o.Report.State {
	case drivers.Offline:
		return bad
	case drivers.Online, drivers.Degraded, drivers.StorageDown:
		return good
	case drivers.Maintenance:
		return outOfService
	case drivers.Unknown:
		return silent
	default:
		return silent
	}
}

// run is an uninterrupted sequence of observations of one kind.
type run struct {
	kind kind
	// since is when it began.
	since time.Time
	// reports is how many observations of it count, and counted is when the last of them did.
	reports int
	counted time.Time
}

// next is the run after one more observation, which counts if it comes at least period after the last that did.
func (r run) next(k kind, now time.Time, period time.Duration) run {
	if r.kind != k {
		return run{kind: k, since: now, reports: 1, counted: now}
	}
	if now.Sub(r.counted) >= period {
		r.reports++
		r.counted = now
	}
	return r
}

// notAfter is r with no time later than now.
func (r run) notAfter(now time.Time) run {
	r.since = earlier(r.since, now)
	r.counted = earlier(r.counted, now)
	return r
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
