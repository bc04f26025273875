// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/test/perf/results"
)

func run(scenario string, profile results.Profile, seconds float64, local int) results.Run {
	return results.Run{Scenario: scenario, Profile: profile, Nodes: 5000, Pods: 100, Bound: 100, Local: &local, Seconds: seconds}
}

// measured has AnyNode just in its budget, and Pinned out of it.
func measured() *results.File {
	return &results.File{
		Runs: []results.Run{
			run("AnyNode", results.Stock, 2, 20), run("AnyNode", results.Roost, 1, 100), run("AnyNode", results.ScoreOnly, 4, 30),
			run("AnyNode", results.Roost, 1, 100), run("AnyNode", results.Stock, 1, 40),
			run("Pinned", results.Stock, 2, 100), run("Pinned", results.Roost, 1, 99),
		},
		Functions: []results.Function{
			{Name: "Plugin/replicas=3/volumes=1/PreFilter", Nanos: 4000, Allocs: 30},
			{Name: "Plugin/replicas=3/volumes=1/Filter", Nanos: 20, Allocs: 1},
			{Name: "Plugin/replicas=3/volumes=1/Score", Nanos: 1001},
			{Name: "Memory", Extra: map[string]float64{"bytes/replica": 399}},
		},
		Binaries: map[string]int64{stockBinary: 1000, roostBinary: 1099},
	}
}

func TestJudge(t *testing.T) {
	want := []verdict{
		{"one volume, any node may mount it, 5000 nodes: at least 1.5 times stock", "1.33 times", false},
		{"one volume, pinned to its three nodes, 5000 nodes: at least 6 times stock", "2.00 times", false},
		{"one volume, any node may mount it: all pods on a data node", "200 of 200", true},
		{"one volume, pinned to its three nodes: all pods on a data node", "99 of 100", false},
		{"Plugin/replicas=3/volumes=1/PreFilter: under 20 µs", "4 µs, 30 allocations", true},
		{"Plugin/replicas=3/volumes=1/Filter: under 1 µs, 0 allocations", "20 ns, 1 allocations", false},
		{"Plugin/replicas=3/volumes=1/Score: under 1 µs, 0 allocations", "1 µs, 0 allocations", false},
		{"memory of the topology index, 100,000 volumes of 3 replicas: under 400 bytes a replica", "399 bytes", true},
		{"size of the binary: under 10 % over stock", "9.9 %", true},
	}
	if diff := cmp.Diff(want, judge(measured()), cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("judge() (-want +got):\n%s", diff)
	}
	renamed := &results.File{Functions: []results.Function{{Name: "Plugin/PreFilter"}}}
	for _, got := range judge(renamed) {
		if got.held || got.measured != notMeasured {
			t.Errorf("judge() of other functions = %+v, want what is not measured and not held", got)
		}
	}
	if got := judge(&results.File{}); got != nil {
		t.Errorf("judge() of nothing = %v, want nothing", got)
	}
}

func TestMarkdown(t *testing.T) {
	got := markdown(measured())
	for _, want := range []string{
		"| one volume, any node may mount it | 5000 | 100 | 2 | 75 (50 to 100) | 25 | 100 (100 to 100) | **1.33** | 30 % | 30 % | 100 % |\n",
		"| one volume, pinned to its three nodes | 5000 | 100 | 1 | 50 |  | 100 | **2.00** | 100 % |  | 99 % |\n",
		"| **not held** |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("markdown() lacks %q, it is\n%s", want, got)
		}
	}
	if strings.Contains(got, "quick run") {
		t.Error("a whole run is called a quick one")
	}
	quick := measured()
	quick.Quick = true
	if !strings.Contains(markdown(quick), "**This is a quick run**") || !strings.Contains(picture(quick), "a quick run") {
		t.Error("a quick run is not called one")
	}
}

func TestABusyMachineIsCalledOne(t *testing.T) {
	tests := map[string]struct {
		load float64
		want bool
	}{
		"what the build left behind": {load: 2, want: false},
		"others at work":             {load: 2.1, want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			file := measured()
			file.Machine = results.Machine{CPUs: 2, Load: tc.load}
			if got := strings.Contains(markdown(file), "was busy"); got != tc.want {
				t.Errorf("the page says that the machine was busy: %t, want %t", got, tc.want)
			}
			if got := strings.Contains(picture(file), "busy"); got != tc.want {
				t.Errorf("the picture says that the machine was busy: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	page := "# Title\n\n" + begin + "\nold\n" + end + "\n\n## After\n"
	got, err := replace(page, "new\n")
	if want := "# Title\n\n" + begin + "\n\nnew\n\n" + end + "\n\n## After\n"; got != want || err != nil {
		t.Errorf("replace() = %q, %v, want %q", got, err, want)
	}
	for _, page := range []string{"", begin, end, end + begin} {
		if _, err := replace(page, "new"); err == nil {
			t.Errorf("replace(%q) wants no error for a page without its markers", page)
		}
	}
}

func TestPictureHasTheLargestCluster(t *testing.T) {
	file := measured()
	small := run("Required", results.Roost, 1, 100)
	small.Nodes = 1000
	file.Runs = append([]results.Run{small}, file.Runs...)
	got := picture(file)
	if strings.Contains(got, "Required") || strings.Count(got, "pods/s") != 4 || !strings.Contains(got, "on 5000 nodes") {
		t.Errorf("picture() is not of the two scenarios on 5000 nodes:\n%s", got)
	}
}

func TestParseFunctions(t *testing.T) {
	got, err := parseFunctions(`goos: linux
pkg: roost.dev/roost/plugins/volumelocality
BenchmarkPlugin/replicas=3/volumes=1/PreFilter-2         	  347012	      3438 ns/op	    1824 B/op	      22 allocs/op
PASS
pkg: roost.dev/roost/drivers/published
BenchmarkMemory-2	1	1200000000 ns/op	172.5 bytes/replica
ok  	roost.dev/roost/drivers/published	3.1s
`)
	want := []results.Function{
		{Package: "plugins/volumelocality", Name: "Plugin/replicas=3/volumes=1/PreFilter", Nanos: 3438, Bytes: 1824, Allocs: 22},
		{Package: "drivers/published", Name: "Memory", Nanos: 1.2e9, Extra: map[string]float64{"bytes/replica": 172.5}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("parseFunctions() error %v (-want +got):\n%s", err, diff)
	}
	if _, err := parseFunctions("BenchmarkX-2 1 fast ns/op"); err == nil {
		t.Error("parseFunctions() wants no error for what is no number")
	}
}
