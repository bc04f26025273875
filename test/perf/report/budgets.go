// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"roost.dev/roost/test/perf/results"
)

const (
	roostBinary = "roost"
	stockBinary = "stock"

	// maxGrowth is how much larger than the stock binary ours may be, in percent.
	maxGrowth = 10
)

// ratios are what Roost has to be faster than stock by: pods a second, both in one run.
var ratios = []struct {
	scenario string
	nodes    int
	atLeast  float64
}{
	{"NoVolumes", 1000, 0.98},
	{"NoVolumes", 5000, 0.98},
	{"AnyNode", 1000, 1.1},
	{"AnyNode", 5000, 1.5},
	{"Pinned", 1000, 2},
	{"Pinned", 5000, 6},
	{"NoRoom", 1000, 0.8},
	{"NoRoom", 5000, 0.8},
}

// beside are the scenarios in which every pod can be on a data node.
var beside = []string{"AnyNode", "Pinned", "FourVolumes", "Required"}

// functionLimits are for one volume. A limit of allocations of -1 is none.
var functionLimits = []struct {
	name        string
	nanos       float64
	allocations float64
}{
	{"Plugin/replicas=3/volumes=1/PreFilter", 20_000, -1},
	{"Plugin/replicas=3/volumes=1/Filter", 1000, 0},
	{"Plugin/replicas=3/volumes=1/Score", 1000, 0},
}

const (
	memoryBenchmark  = "Memory"
	memoryUnit       = "bytes/replica"
	maxBytesAReplica = 400

	notMeasured = "not measured"
)

// verdict is a budget and what was measured.
type verdict struct {
	budget, measured string
	held             bool
}

// judge returns a verdict for every budget that something was measured for.
func judge(file *results.File) []verdict {
	rows := summarize(file.Runs)
	var verdicts []verdict
	for _, limit := range ratios {
		r := find(rows, limit.scenario, limit.nodes)
		if r == nil {
			continue
		}
		if ratio, ok := r.ratio(); ok {
			verdicts = append(verdicts, verdict{
				budget:   fmt.Sprintf("%s, %d nodes: at least %.4g times stock", titles[limit.scenario], limit.nodes, limit.atLeast),
				measured: fmt.Sprintf("%.2f times", ratio), held: ratio >= limit.atLeast,
			})
		}
	}
	verdicts = append(verdicts, judgePlaces(rows)...)
	verdicts = append(verdicts, judgeFunctions(file.Functions)...)
	if stock, roost := file.Binaries[stockBinary], file.Binaries[roostBinary]; stock > 0 && roost > 0 {
		grown := 100 * (float64(roost)/float64(stock) - 1)
		verdicts = append(verdicts, verdict{
			budget: fmt.Sprintf("size of the binary: under %d %% over stock", maxGrowth), measured: fmt.Sprintf("%.1f %%", grown), held: grown < maxGrowth,
		})
	}
	return verdicts
}

func judgePlaces(rows []*row) []verdict {
	var verdicts []verdict
	for _, scenario := range beside {
		local, bound := 0, 0
		for _, r := range rows {
			if s := r.of[results.Roost]; r.scenario == scenario && s != nil {
				local, bound = local+s.local, bound+s.bound
			}
		}
		if bound > 0 {
			verdicts = append(verdicts, verdict{
				budget: titles[scenario] + ": all pods on a data node", measured: fmt.Sprintf("%d of %d", local, bound), held: local == bound,
			})
		}
	}
	return verdicts
}

// judgeFunctions returns a verdict for every limit, also for one that no benchmark is named after any more.
func judgeFunctions(functions []results.Function) []verdict {
	if len(functions) == 0 {
		return nil
	}
	measured := map[string]*results.Function{}
	for i := range functions {
		measured[functions[i].Name] = &functions[i]
	}
	var verdicts []verdict
	for _, limit := range functionLimits {
		v := verdict{budget: fmt.Sprintf("%s: under %s", limit.name, duration(limit.nanos)), measured: notMeasured}
		if limit.allocations >= 0 {
			v.budget += fmt.Sprintf(", %.0f allocations", limit.allocations)
		}
		if f := measured[limit.name]; f != nil {
			v.measured = fmt.Sprintf("%s, %.0f allocations", duration(f.Nanos), f.Allocs)
			v.held = f.Nanos < limit.nanos && (limit.allocations < 0 || f.Allocs <= limit.allocations)
		}
		verdicts = append(verdicts, v)
	}
	return append(verdicts, judgeMemory(measured[memoryBenchmark]))
}

func judgeMemory(f *results.Function) verdict {
	v := verdict{
		budget:   fmt.Sprintf("memory of the topology index, 100,000 volumes of 3 replicas: under %d bytes a replica", maxBytesAReplica),
		measured: notMeasured,
	}
	if f == nil {
		return v
	}
	if bytes, ok := f.Extra[memoryUnit]; ok {
		v.measured, v.held = fmt.Sprintf("%.0f bytes", bytes), bytes < maxBytesAReplica
	}
	return v
}
