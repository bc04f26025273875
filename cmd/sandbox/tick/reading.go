// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
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

var sampleLine = regexp.MustCompile(`^(\w+)(\{.*\})? (\S+)$`)

// needed are the metrics without which a reading says nothing. Nobody is in flight where there is no metric of that.
var needed = []string{"roost_snapshot_operations_waiting", "process_cpu_seconds_total", "process_resident_memory_bytes"}

// parse reads metrics in Prometheus' text format.
func parse(text io.Reader) (reading, error) {
	var r reading
	found := map[string]bool{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		sample := sampleLine.FindStringSubmatch(lines.Text())
		if sample == nil {
			continue // a comment
		}
		value, err := strconv.ParseFloat(sample[3], 64)
		if err != nil {
			return reading{}, fmt.Errorf("the value of %s: %w", sample[1], err)
		}
		found[sample[1]] = true
		r.take(sample[1], sample[2], value)
	}
	if err := lines.Err(); err != nil {
		return reading{}, err
	}
	for _, name := range needed {
		if !found[name] {
			return reading{}, fmt.Errorf("there is no %s", name)
		}
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
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return reading{}, fmt.Errorf("asking for the manager's metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reading{}, fmt.Errorf("asking for the manager's metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return reading{}, fmt.Errorf("asking for the manager's metrics: %s", response.Status)
	}
	now, err := parse(response.Body)
	if err != nil {
		return reading{}, fmt.Errorf("reading the manager's metrics: %w", err)
	}
	return now, nil
}
