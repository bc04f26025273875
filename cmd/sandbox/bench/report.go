// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"roost.dev/roost/cmd/sandbox/timeline"
)

const (
	// promisedMedian and promisedWorst are what the median and the worst failover stay under, from the fault to Running.
	promisedMedian = 20 * time.Second
	promisedWorst  = 30 * time.Second
)

// Result is what happened in the failures of one kind.
type Result struct {
	// Name says what failed.
	Name      string
	Timelines []timeline.Timeline
	// Watched is how long each pod was watched at most.
	Watched time.Duration
	// Promised says that the promise is about this kind.
	Promised bool
}

// Report is everything that was measured.
type Report struct {
	// Kwok are pods that were deleted where nothing had failed.
	Kwok    []timeline.Timeline
	Results []Result
	// Violations is how often two nodes could write to one volume at once, in all of it.
	Violations int
}

// shown are the moments that the table has a column for.
var shown = []timeline.Moment{timeline.Verdict, timeline.Evicted, timeline.Detached, timeline.Bound}

// Markdown is the report as a table and the lines that explain it. Times are in seconds since the fault.
func (r *Report) Markdown() string {
	var text strings.Builder
	text.WriteString("| what fails | n | run again | median | p90 | worst | verdict | eviction | detach | bound |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range r.Results {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(r.Results[i].cells(), " | "))
	}
	text.WriteString("\nSeconds from the fault; median, p90 and worst until the pod is Running with its volume attached, the others medians.\n")
	fmt.Fprintf(&text, "Times that two nodes could write to one volume at once: %d.\n", r.Violations)
	fmt.Fprintf(&text, "In it, of the simulated kubelets, medians of %d pods deleted without a fault: %s from deletion to gone, %s from bound to Running; "+
		"%s from deletion to Running, all in all.\n", len(r.Kwok), r.undisturbed(timeline.Evicted, timeline.Gone),
		r.undisturbed(timeline.Bound, timeline.Started), r.undisturbed(timeline.Evicted, timeline.Running))
	return text.String()
}

// undisturbed is the median time from one moment to another where nothing had failed.
func (r *Report) undisturbed(from, to timeline.Moment) string {
	times := between(r.Kwok, from, to)
	if len(times) == 0 {
		return "an unknown time"
	}
	return quantile(times, 0.5).Round(time.Millisecond).String()
}

func (r *Result) cells() []string {
	running := between(r.Timelines, timeline.Fault, timeline.Running)
	cells := []string{r.Name, fmt.Sprint(len(r.Timelines)), fmt.Sprint(len(running))}
	if len(running) == 0 {
		cells = append(cells, "not in "+r.Watched.String(), "", "")
	} else {
		cells = append(cells, seconds(running, 0.5), seconds(running, 0.9), seconds(running, 1))
	}
	for _, moment := range shown {
		cells = append(cells, seconds(between(r.Timelines, timeline.Fault, moment), 0.5))
	}
	return cells
}

// Broken is how the promise was not kept, one reason a line, or nothing.
func (r *Report) Broken() []string {
	var reasons []string
	if r.Violations > 0 {
		reasons = append(reasons, fmt.Sprintf("two nodes could write to one volume at once, %d times; must be 0", r.Violations))
	}
	for i := range r.Results {
		if result := &r.Results[i]; result.Promised {
			reasons = append(reasons, result.broken()...)
		}
	}
	return reasons
}

func (r *Result) broken() []string {
	var reasons []string
	running := between(r.Timelines, timeline.Fault, timeline.Running)
	if missing := len(r.Timelines) - len(running); missing > 0 {
		reasons = append(reasons, fmt.Sprintf("%s: %d of %d pods did not run again in %s", r.Name, missing, len(r.Timelines), r.Watched))
	}
	if len(running) == 0 {
		return reasons
	}
	if median := quantile(running, 0.5); median >= promisedMedian {
		reasons = append(reasons, fmt.Sprintf("%s: the median is %s, must be under %s", r.Name, median, promisedMedian))
	}
	if worst := quantile(running, 1); worst >= promisedWorst {
		reasons = append(reasons, fmt.Sprintf("%s: the worst is %s, must be under %s", r.Name, worst, promisedWorst))
	}
	return reasons
}

// between are the times from one moment to another, sorted, of the timelines in which both came.
func between(timelines []timeline.Timeline, from, to timeline.Moment) []time.Duration {
	var times []time.Duration
	for i := range timelines {
		if took, ok := timelines[i].Between(from, to); ok {
			times = append(times, took)
		}
	}
	slices.Sort(times)
	return times
}

// quantile is the smallest of the sorted times that at least the fraction q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// seconds is a quantile for the table, a dash where there are no times.
func seconds(sorted []time.Duration, q float64) string {
	if len(sorted) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", quantile(sorted, q).Seconds())
}
