// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/cmd/sandbox/timeline"
)

var faultTime = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// came is a timeline with moments at these times after the fault.
func came(after map[timeline.Moment]time.Duration) timeline.Timeline {
	var t timeline.Timeline
	t.Stamps[timeline.Fault] = faultTime
	for moment, duration := range after {
		t.Stamps[moment] = faultTime.Add(duration)
	}
	return t
}

// ran are failures after which pods ran again after these times.
func ran(after ...time.Duration) []timeline.Timeline {
	var timelines []timeline.Timeline
	for _, duration := range after {
		timelines = append(timelines, came(map[timeline.Moment]time.Duration{timeline.Running: duration}))
	}
	return timelines
}

func TestQuantile(t *testing.T) {
	var ten []time.Duration
	for i := range 10 {
		ten = append(ten, time.Duration(i+1)*time.Second)
	}
	for name, tc := range map[string]struct {
		sorted []time.Duration
		q      float64
		want   time.Duration
	}{
		"the median of ten is the fifth": {sorted: ten, q: 0.5, want: 5 * time.Second},
		"the p90 of ten is the ninth":    {sorted: ten, q: 0.9, want: 9 * time.Second},
		"the worst of ten is the last":   {sorted: ten, q: 1, want: 10 * time.Second},
		"the median of three is between": {sorted: ten[:3], q: 0.5, want: 2 * time.Second},
		"of one it is that":              {sorted: ten[:1], q: 0.9, want: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := quantile(tc.sorted, tc.q); got != tc.want {
				t.Errorf("quantile(%v, %v) = %s, want %s", tc.sorted, tc.q, got, tc.want)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	failover := func(shift time.Duration) timeline.Timeline {
		return came(map[timeline.Moment]time.Duration{
			timeline.Verdict: 10*time.Second + shift, timeline.Evicted: 11*time.Second + shift, timeline.Gone: 12*time.Second + shift,
			timeline.Detached: 13*time.Second + shift, timeline.Bound: 12500*time.Millisecond + shift,
			timeline.Started: 14*time.Second + shift, timeline.Running: 15*time.Second + shift,
		})
	}
	report := Report{
		Kwok: []timeline.Timeline{failover(0)},
		Results: []Result{
			{Name: "moved", Timelines: []timeline.Timeline{failover(2 * time.Second), failover(0), failover(time.Second)}},
			{Name: "one of two moved", Timelines: append(ran(time.Minute), came(nil))},
			{Name: "evicted only", Timelines: []timeline.Timeline{came(map[timeline.Moment]time.Duration{timeline.Evicted: 350 * time.Second})}, Watched: 15 * time.Minute},
		},
		Violations: 2,
	}
	want := `| what fails | n | run again | median | p90 | worst | verdict | eviction | detach | bound |
|---|---|---|---|---|---|---|---|---|---|
| moved | 3 | 3 | 16.0 | 17.0 | 17.0 | 11.0 | 12.0 | 14.0 | 13.5 |
| one of two moved | 2 | 1 | 60.0 | 60.0 | 60.0 | - | - | - | - |
| evicted only | 1 | 0 | not in 15m0s |  |  | - | 350.0 | - | - |

Seconds from the fault; median, p90 and worst until the pod is Running with its volume attached, the others medians.
Times that two nodes could write to one volume at once: 2.
In it, of the simulated kubelets, medians of 1 pods deleted without a fault: 1s from deletion to gone, 1.5s from bound to Running; 4s from deletion to Running, all in all.
`
	if diff := cmp.Diff(want, report.Markdown()); diff != "" {
		t.Errorf("Markdown (-want +got):\n%s", diff)
	}
}

func TestBroken(t *testing.T) {
	kept := ran(10*time.Second, 19900*time.Millisecond, 29900*time.Millisecond)
	for name, tc := range map[string]struct {
		report Report
		want   []string
	}{
		"nothing was promised of what nothing was measured": {},
		"kept": {report: Report{Results: []Result{{Name: "a", Promised: true, Timelines: kept}}}},
		"slow where nothing was promised": {
			report: Report{Results: []Result{{Name: "a", Timelines: append(ran(time.Hour), came(nil))}}},
		},
		"a median that is too long": {
			report: Report{Results: []Result{{Name: "a", Promised: true, Timelines: ran(10*time.Second, 20*time.Second, 25*time.Second)}}},
			want:   []string{"a: the median is 20s, must be under 20s"},
		},
		"one that took too long": {
			report: Report{Results: []Result{{Name: "a", Promised: true, Timelines: ran(10*time.Second, 10*time.Second, 30*time.Second)}}},
			want:   []string{"a: the worst is 30s, must be under 30s"},
		},
		"one that never ran": {
			report: Report{Results: []Result{{Name: "a", Promised: true, Watched: time.Minute, Timelines: append(ran(time.Second), came(nil))}}},
			want:   []string{"a: 1 of 2 pods did not run again in 1m0s"},
		},
		"none that ran": {
			report: Report{Results: []Result{{Name: "a", Promised: true, Watched: time.Minute, Timelines: []timeline.Timeline{came(nil)}}}},
			want:   []string{"a: 1 of 1 pods did not run again in 1m0s"},
		},
		"two writers": {
			report: Report{Violations: 1, Results: []Result{{Name: "a", Promised: true, Timelines: kept}}},
			want:   []string{"two nodes could write to one volume at once, 1 times; must be 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.report.Broken()); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
