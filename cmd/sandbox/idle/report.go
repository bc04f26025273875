// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what was measured.
type Report struct {
	Options
	// Lasted is how long the manager was watched.
	Lasted time.Duration
	// Writes are all requests in that time but reads and Renewals, which are those of its Lease.
	Writes, Renewals int
	// CPU is the processor time that it used.
	CPU time.Duration
	// Resident is its memory in the end, Highest the most since it was ready, and Heap the part that Go has in use, in bytes.
	Resident, Highest, Heap int64

	requests map[request]int
}

func newReport(opts Options, first, last reading, highest int64) *Report {
	r := &Report{
		Options: opts, Lasted: last.at.Sub(first.at),
		Writes: last.writes() - first.writes(), Renewals: last.renewals - first.renewals,
		CPU: last.cpu - first.cpu, Resident: last.resident, Highest: highest, Heap: last.heap,
		requests: maps.Clone(last.requests),
	}
	for request, times := range first.requests {
		r.requests[request] -= times
	}
	return r
}

// Markdown is the report as a table.
func (r *Report) Markdown() string {
	var text strings.Builder
	text.WriteString("| idle with | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"nodes, each with a StorageNode", fmt.Sprint(r.Nodes)},
		{fmt.Sprintf("claims, each with its volume, topology of %d replicas, attachment and pod", replicas), fmt.Sprint(r.Claims)},
		{"watched for", r.Lasted.Round(time.Second).String()},
		{"**writes a minute, but for its Lease**", "**" + r.perMinute(r.Writes) + "**"},
		{"renewals of its Lease a minute", r.perMinute(r.Renewals)},
		{"all requests a minute, by method and code", r.byMethodAndCode()},
		{"processor time", fmt.Sprintf("%.1f %% of one CPU", 100*r.CPU.Seconds()/r.Lasted.Seconds())},
		{"resident memory in the end", mebibytes(r.Resident)},
		{"resident memory at most", mebibytes(r.Highest)},
		{"Go heap in use in the end", mebibytes(r.Heap)},
	} {
		fmt.Fprintf(&text, "| %s | %s |\n", row[0], row[1])
	}
	return text.String()
}

// Broken is how the promise was not kept, one reason a line, or nothing.
func (r *Report) Broken() []string {
	var reasons []string
	if r.Writes != 0 {
		reasons = append(reasons, fmt.Sprintf("%d writes in %s beside %d renewals of the Lease, must be 0; all requests a minute: %s",
			r.Writes, r.Lasted.Round(time.Second), r.Renewals, r.byMethodAndCode()))
	}
	if r.Renewals == 0 {
		reasons = append(reasons, "no renewal of the Lease was seen: the manager did not lead")
	}
	return reasons
}

// byMethodAndCode are all requests a minute.
func (r *Report) byMethodAndCode() string {
	sorted := slices.SortedFunc(maps.Keys(r.requests), func(a, b request) int {
		return cmp.Or(cmp.Compare(a.method, b.method), cmp.Compare(a.code, b.code))
	})
	var counts []string
	for _, request := range sorted {
		if times := r.requests[request]; times > 0 {
			counts = append(counts, fmt.Sprintf("%s %s: %s", request.method, request.code, r.perMinute(times)))
		}
	}
	return strings.Join(counts, ", ")
}

func (r *Report) perMinute(times int) string {
	if times == 0 {
		return "0" // not 0.0, which might be a little more
	}
	return fmt.Sprintf("%.1f", float64(times)/r.Lasted.Minutes())
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
