// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	schedulerperf "k8s.io/kubernetes/test/integration/scheduler_perf"

	"roost.dev/roost/test/perf/results"
)

var (
	resultsFile  = flag.String("results", "", "the file to write results to")
	progressFile = flag.String("progress", "", "the file to write progress to, a line each run")
	quick        = flag.Bool("quick", false, "1,000 nodes only, few pods, and everything once")
	only         = flag.String("scenario", "", "the one scenario to run")
)

func TestMain(m *testing.M) {
	if err := schedulerperf.InitTests(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// BenchmarkPerfScheduling runs everything once, whatever b.N is; -benchtime=1x keeps it at that.
func BenchmarkPerfScheduling(b *testing.B) {
	if *resultsFile == "" {
		b.Fatal("-results names no file; `make bench` calls this as it should be called")
	}
	scenarios, err := readScenarios(scenariosFile)
	if err != nil {
		b.Fatal(err)
	}
	file := &results.File{Machine: thisMachine(), Quick: *quick}
	rounds := plan(scenarios, *quick, *only)
	for i, r := range rounds {
		said := "FAILED"
		b.Run(r.name(), func(b *testing.B) { said = describe(runRound(b, r, file)) })
		if err := tell("%3d of %d  %-40s %s\n", i+1, len(rounds), r.name(), said); err != nil {
			b.Fatal(err)
		}
		if err := file.Save(*resultsFile); err != nil {
			b.Fatal(err)
		}
	}
}

// round is one scheduler on one API server.
type round struct {
	scenario   *scenario
	workload   string
	profile    results.Profile
	repetition int
	// warmUp is for the process and the machine: what it measures does not count.
	warmUp bool
}

func (r round) name() string {
	if r.warmUp {
		return "WarmUp"
	}
	return fmt.Sprintf("%s/%s/%s/%d", r.scenario.name, r.workload, r.profile, r.repetition)
}

// repetitions is how often stock and Roost run. What no ratio is held against runs once, and the one ratio that is about single
// percents has more, where a run is short.
func repetitions(scenario, workload string, quick bool) int {
	switch {
	case quick:
		return 1
	case scenario == "NoVolumes" && workload == quickWorkload:
		return 4
	case scenario == "FourVolumes", scenario == "Required", scenario == "Unbound":
		return 1
	default:
		return 2
	}
}

// scored says where the profile that only scores runs too: at 5,000 nodes where the volumes alone decide about the place.
func (s *scenario) scored(workload string, quick bool) bool {
	switch {
	case s.name == "AnyNode":
		return true
	case quick || !s.located():
		return false
	default:
		return s.name == "FourVolumes" || workload == quickWorkload
	}
}

// plan has stock and Roost take turns in who is first, so that a machine that gets slower or faster favours neither.
func plan(scenarios []*scenario, quick bool, only string) []round {
	var rounds []round
	turn := 0
	for _, s := range scenarios {
		if only != "" && only != s.name {
			continue
		}
		for _, workload := range s.workloads(quick) {
			for repetition := range repetitions(s.name, workload, quick) {
				order := []results.Profile{results.Stock, results.Roost}
				if turn%2 == 1 {
					order = []results.Profile{results.Roost, results.Stock}
				}
				turn++
				if repetition == 0 && s.scored(workload, quick) {
					order = append(order, results.ScoreOnly)
				}
				for _, profile := range order {
					rounds = append(rounds, round{scenario: s, workload: workload, profile: profile, repetition: repetition})
				}
			}
		}
	}
	if len(rounds) > 0 {
		first := rounds[0]
		first.warmUp = true
		rounds = append([]round{first}, rounds...)
	}
	return rounds
}

func runRound(b *testing.B, r round, file *results.File) results.Run {
	part := 1.0
	if *quick || r.warmUp {
		part = quickPart
	}
	config, err := r.scenario.write(b.TempDir(), r.workload, r.profile, part)
	if err != nil {
		b.Fatal(err)
	}
	items := b.TempDir()
	if err := flag.Set("data-items-dir", items); err != nil {
		b.Fatal(err)
	}
	registry := newRegistry()
	world := &world{profile: r.profile, drivers: registry.drivers}
	schedulerperf.RunBenchmarkPerfScheduling(b, config, "roost", registry.plugins,
		schedulerperf.WithPrepareFn(installDefinitions), schedulerperf.WithNodeUpdateFn(world.fill))
	run, err := world.result()
	if err != nil {
		b.Fatal(err)
	}
	run.Scenario, run.Profile, run.Repetition = r.scenario.name, r.profile, r.repetition
	if run.UpstreamRate, err = upstreamRate(items); err != nil {
		b.Fatal(err)
	}
	if !r.warmUp {
		file.Runs = append(file.Runs, run)
	}
	return run
}

// upstreamRate is what scheduler_perf wrote into the one file of its folder, whose name ends with the time.
func upstreamRate(dir string) (float64, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(found) != 1 {
		return 0, errors.Join(err, fmt.Errorf("scheduler_perf left %d files of results, want one", len(found)))
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return 0, fmt.Errorf("reading scheduler_perf's results: %w", err)
	}
	var items schedulerperf.DataItems
	if err := json.Unmarshal(content, &items); err != nil {
		return 0, fmt.Errorf("reading scheduler_perf's results: %w", err)
	}
	for _, item := range items.DataItems {
		if item.Labels["Metric"] == "SchedulingThroughput" {
			return item.Data["Average"], nil
		}
	}
	return 0, nil
}

// tell writes how far the benchmark is, for who waits for it: its own output is upstream's log.
func tell(format string, args ...any) error {
	if *progressFile == "" {
		return nil
	}
	out, err := os.OpenFile(*progressFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("telling the progress: %w", err)
	}
	_, err = fmt.Fprintf(out, format, args...)
	return errors.Join(err, out.Close())
}

func describe(run results.Run) string {
	if run.Local == nil {
		return fmt.Sprintf("%.0f pods/s", run.Rate())
	}
	return fmt.Sprintf("%.0f pods/s, %d of %d on a data node", run.Rate(), *run.Local, run.Bound)
}
