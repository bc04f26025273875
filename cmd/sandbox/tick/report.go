// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Report is what was measured.
type Report struct {
	Options
	Delays
	// Lasted is from when the first snapshots were due until the manager was at rest.
	Lasted time.Duration
	// CPU is the processor time that the manager used for it, and Resident its memory at most, in bytes.
	CPU      time.Duration
	Resident int64
	// Cutting is how many claims were being cut at most, and Waiting how many snapshots waited for their turn, as sampled.
	Cutting, Waiting int
	// Open is how many requests had no answer at a time at most.
	Open int

	calls map[call]int
}

// Markdown is the report as three tables.
func (r *Report) Markdown() string {
	var text strings.Builder
	reads, writes := r.total(call.reads), r.total(func(c call) bool { return !c.reads() })
	fmt.Fprintf(&text, "| %d snapshots due at once | |\n|---|---|\n", r.Claims)
	for _, row := range [][2]string{
		{"claims, each with a schedule of its own", fmt.Sprintf("%d in %d namespaces", r.Claims, r.Namespaces)},
		{"jitter", r.Jitter.String()},
		{"`snapshots.qps` of the manager", fmt.Sprint(r.QPS)},
		{"**ready**", fmt.Sprintf("**%d**", r.Ready)},
		{"until the manager was at rest again", r.Lasted.Round(time.Second).String()},
		{"**requests of the manager a snapshot**", fmt.Sprintf("**%s reads, %s writes**", r.each(reads), r.each(writes))},
		{"requests a second, all in all", fmt.Sprintf("%.1f", float64(reads+writes)/r.Lasted.Seconds())},
		{"requests without an answer at a time, at most", fmt.Sprint(r.Open)},
		{"**claims being cut at a time, at most**", fmt.Sprintf("**%d**", r.Cutting)},
		{"snapshots that wait for their turn, at most", fmt.Sprint(r.Waiting)},
		{"processor time of the manager", fmt.Sprintf("%.1f s, %.0f %% of one CPU", r.CPU.Seconds(), 100*r.CPU.Seconds()/r.Lasted.Seconds())},
		{"its resident memory at most", fmt.Sprintf("%d MiB", r.Resident>>20)},
	} {
		fmt.Fprintf(&text, "| %s | %s |\n", row[0], row[1])
	}
	r.writeDelays(&text)
	r.writeCalls(&text)
	return text.String()
}

func (r *Report) writeDelays(text *strings.Builder) {
	text.WriteString("\n| seconds from when it was due until | median | p90 | p99 | worst |\n|---|---|---|---|---|\n")
	for _, row := range []struct {
		name  string
		times []time.Duration
	}{
		{"the snapshot is there, in whole seconds", r.Made}, {"**it is its turn**", r.Started}, {"it is cut", r.Cut}, {"it can be restored", r.Restorable},
	} {
		fmt.Fprintf(text, "| %s |", row.name)
		for _, of := range []float64{0.5, 0.9, 0.99, 1} {
			fmt.Fprintf(text, " %.1f |", quantile(row.times, of).Seconds())
		}
		text.WriteString("\n")
	}
}

// writeCalls writes the requests, most frequent first. What was refused is in a line of its own.
func (r *Report) writeCalls(text *strings.Builder) {
	text.WriteString("\n| request of the manager | a snapshot | in all |\n|---|---|---|\n")
	merged := map[string]int{}
	for made, times := range r.calls {
		merged[made.String()] += times
	}
	sorted := slices.SortedFunc(maps.Keys(merged), func(a, b string) int {
		return cmp.Or(cmp.Compare(merged[b], merged[a]), cmp.Compare(a, b))
	})
	for _, name := range sorted {
		fmt.Fprintf(text, "| %s | %s | %d |\n", name, r.each(merged[name]), merged[name])
	}
}

// String implements fmt.Stringer.
func (c call) String() string {
	if c.status >= http.StatusBadRequest {
		return fmt.Sprintf("%s %s, refused with %d", c.verb, c.resource, c.status)
	}
	return c.verb + " " + c.resource
}

func (r *Report) total(which func(call) bool) int {
	total := 0
	for made, times := range r.calls {
		if which(made) {
			total += times
		}
	}
	return total
}

// each is a number of requests for one snapshot.
func (r *Report) each(times int) string { return fmt.Sprintf("%.2f", float64(times)/float64(r.Claims)) }

// Broken is how the promise was not kept that every snapshot becomes ready, one reason a line, or nothing.
func (r *Report) Broken() []string {
	if r.Ready == r.Claims {
		return nil
	}
	return append([]string{fmt.Sprintf("%d of %d snapshots are ready, must be all", r.Ready, r.Claims)}, r.Others...)
}
