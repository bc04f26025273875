// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"slices"

	"roost.dev/roost/test/perf/results"
)

// row is one scenario on one size of cluster.
type row struct {
	scenario string
	nodes    int
	pods     int
	// of has a profile only where it was measured.
	of map[results.Profile]*summary
}

// summary is all repetitions of a row under one profile.
type summary struct {
	rates []float64
	// local of bound pods were on a data node, in all repetitions together. located is false where there are no data nodes.
	local, bound int
	located      bool
}

// summarize has the rows in the order of the runs.
func summarize(runs []results.Run) []*row {
	var rows []*row
	for i := range runs {
		run := &runs[i]
		r := find(rows, run.Scenario, run.Nodes)
		if r == nil {
			r = &row{scenario: run.Scenario, nodes: run.Nodes, pods: run.Pods, of: map[results.Profile]*summary{}}
			rows = append(rows, r)
		}
		s := r.of[run.Profile]
		if s == nil {
			s = &summary{}
			r.of[run.Profile] = s
		}
		s.rates = append(s.rates, run.Rate())
		s.bound += run.Bound
		if run.Local != nil {
			s.local, s.located = s.local+*run.Local, true
		}
	}
	return rows
}

func find(rows []*row, scenario string, nodes int) *row {
	for _, r := range rows {
		if r.scenario == scenario && r.nodes == nodes {
			return r
		}
	}
	return nil
}

// rate is the median, in pods a second.
func (s *summary) rate() float64 {
	sorted := slices.SortedFunc(slices.Values(s.rates), cmp.Compare)
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratio is how much faster Roost is than stock. It is false where one of them was not measured.
func (r *row) ratio() (float64, bool) {
	stock, roost := r.of[results.Stock], r.of[results.Roost]
	if stock == nil || roost == nil {
		return 0, false
	}
	return roost.rate() / stock.rate(), true
}
