// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"context"
	"io"
	"strings"
	"time"

	"roost.dev/roost/cmd/sandbox/scrape"
)

// reading is what the manager's metrics said at a moment.
type reading struct {
	// cutting is how many claims were being cut, and waiting how many snapshots waited for their turn.
	cutting, waiting int
	// cpu is the processor time since the manager's start.
	cpu time.Duration
	// resident is in bytes.
	resident int64
}

// needed are the metrics without which a reading says nothing. Nobody is in flight where there is no metric of that.
var needed = []string{"roost_snapshot_operations_waiting", "process_cpu_seconds_total", "process_resident_memory_bytes"}

// parse reads metrics in Prometheus' text format.
func parse(text io.Reader) (reading, error) {
	var r reading
	if err := scrape.Parse(text, needed, r.take); err != nil {
		return reading{}, err
	}
	return r, nil
}

func (r *reading) take(name, labels string, value float64) {
	switch name {
	case "process_cpu_seconds_total":
		r.cpu = time.Duration(value * float64(time.Second))
	case "process_resident_memory_bytes":
		r.resident = int64(value)
	}
	if !strings.Contains(labels, `kind="snapshot"`) {
		return
	}
	switch name {
	case "roost_snapshot_operations_in_flight":
		r.cutting += int(value)
	case "roost_snapshot_operations_waiting":
		r.waiting += int(value)
	}
}

// read asks the manager for its metrics.
func read(ctx context.Context, url string) (reading, error) {
	var now reading
	err := scrape.Read(ctx, url, func(text io.Reader) error {
		var err error
		now, err = parse(text)
		return err
	})
	return now, err
}
