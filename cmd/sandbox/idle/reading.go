// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"io"
	"net/http"
	"regexp"
	"time"

	"roost.dev/roost/cmd/sandbox/scrape"
)

// request is a kind of request to the API server.
type request struct {
	method, code string
}

func (r request) writes() bool { return r.method != http.MethodGet }

// reading is what the manager's metrics said at a moment, since its start.
type reading struct {
	at time.Time
	// renewals are those of the Lease, as far as they were watched. The metrics do not tell them.
	renewals int
	requests map[request]int
	// storageNodes is how many have a verdict.
	storageNodes int
	cpu          time.Duration
	// resident and heap are in bytes.
	resident, heap int64
}

// writes are all requests but reads and the renewals. Those of before the renewals were watched are among them.
func (r *reading) writes() int {
	count := -r.renewals
	for request, times := range r.requests {
		if request.writes() {
			count += times
		}
	}
	return count
}

var (
	methodLabel = regexp.MustCompile(`\bmethod="([^"]*)"`)
	codeLabel   = regexp.MustCompile(`\bcode="([^"]*)"`)
)

// needed are the metrics without which a reading says nothing. They are there from the start.
var needed = []string{"rest_client_requests_total", "process_cpu_seconds_total", "process_resident_memory_bytes", "go_memstats_heap_inuse_bytes"}

// parse reads metrics in Prometheus' text format.
func parse(text io.Reader) (reading, error) {
	r := reading{requests: map[request]int{}}
	if err := scrape.Parse(text, needed, r.take); err != nil {
		return reading{}, err
	}
	return r, nil
}

func (r *reading) take(name, labels string, value float64) {
	switch name {
	case "rest_client_requests_total":
		r.requests[request{method: label(methodLabel, labels), code: label(codeLabel, labels)}] += int(value)
	case "roost_storagehealth_nodes":
		r.storageNodes += int(value)
	case "process_cpu_seconds_total":
		r.cpu = time.Duration(value * float64(time.Second))
	case "process_resident_memory_bytes":
		r.resident = int64(value)
	case "go_memstats_heap_inuse_bytes":
		r.heap = int64(value)
	}
}

func label(of *regexp.Regexp, labels string) string {
	if found := of.FindStringSubmatch(labels); found != nil {
		return found[1]
	}
	return ""
}
