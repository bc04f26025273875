// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"roost.dev/roost/test/perf/results"
)

const (
	begin = "<!-- What follows is written by `make bench`. -->"
	end   = "<!-- What `make bench` writes ends here. -->"
)

// titles say in words what a scenario is.
var titles = map[string]string{
	"NoVolumes":   "no volumes",
	"AnyNode":     "one volume, any node may mount it",
	"Pinned":      "one volume, pinned to its three nodes",
	"FourVolumes": "four volumes, any node may mount them",
	"NoRoom":      "no room on the data nodes and in their racks",
	"Required":    "one volume, Required",
	"Unbound":     "one claim not yet bound",
}

// writePage replaces what is between the page's markers.
func writePage(path, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	page, err := replace(string(content), text)
	if err != nil {
		return fmt.Errorf("page %s: %w", path, err)
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func replace(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", errors.New("it lacks the markers between which results are written")
	}
	return before + begin + "\n\n" + text + "\n" + end + after, nil
}

func markdown(file *results.File) string {
	var text strings.Builder
	writeMachine(&text, file)
	writeRuns(&text, file)
	writeBudgets(&text, file)
	writeFunctions(&text, file.Functions)
	return text.String()
}

func writeMachine(text *strings.Builder, file *results.File) {
	m := file.Machine
	fmt.Fprintf(text, "`%s` on %s: %d CPUs (%s), %d GiB of memory, %s, Kubernetes %s, Roost %s.\n",
		file.Command, m.Date, m.CPUs, m.CPU, m.MemoryGiB, m.Go, m.Kubernetes, m.Commit)
	if isBusy(m) {
		fmt.Fprintf(text, "\n**The machine was busy with other work**: its load average was %.1f when the benchmark began. The times are not to be trusted.\n", m.Load)
	}
	if file.Quick {
		text.WriteString("\n**This is a quick run**: few pods on 1,000 nodes, once each. It shows that everything works; its times are too short to trust.\n")
	}
}

// isBusy says that others wanted all of the processors; building the benchmark itself leaves some load behind.
func isBusy(m results.Machine) bool {
	return m.Load > float64(m.CPUs)
}

func writeRuns(text *strings.Builder, file *results.File) {
	text.WriteString("\n### Pods a second, and where they are\n\n")
	text.WriteString("| pods with | nodes | pods | runs | stock | score only | Roost | Roost to stock | on a data node: stock | score only | Roost |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range summarize(file.Runs) {
		ratio := "-"
		if value, ok := r.ratio(); ok {
			ratio = fmt.Sprintf("**%.2f**", value)
		}
		runs := 0
		if s := r.of[results.Roost]; s != nil {
			runs = len(s.rates)
		}
		fmt.Fprintf(text, "| %s | %d | %d | %d | %s | %s | %s | %s | %s | %s | %s |\n", titles[r.scenario], r.nodes, r.pods, runs,
			r.of[results.Stock].rateText(), r.of[results.ScoreOnly].rateText(), r.of[results.Roost].rateText(), ratio,
			r.of[results.Stock].shareText(), r.of[results.ScoreOnly].shareText(), r.of[results.Roost].shareText())
	}
}

// rateText has the lowest and the highest too, where there is more than one.
func (s *summary) rateText() string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("%.0f", s.rate())
	if len(s.rates) > 1 {
		lowest, highest := s.rates[0], s.rates[0]
		for _, rate := range s.rates {
			lowest, highest = min(lowest, rate), max(highest, rate)
		}
		text += fmt.Sprintf(" (%.0f to %.0f)", lowest, highest)
	}
	return text
}

func (s *summary) shareText() string {
	if s == nil || !s.located {
		return ""
	}
	return fmt.Sprintf("%.4g %%", 100*float64(s.local)/float64(s.bound))
}

func writeBudgets(text *strings.Builder, file *results.File) {
	text.WriteString("\n### Budgets\n\n| budget | measured | |\n|---|---|---|\n")
	for _, v := range judge(file) {
		held := "held"
		if !v.held {
			held = "**not held**"
		}
		fmt.Fprintf(text, "| %s | %s | %s |\n", v.budget, v.measured, held)
	}
}

func writeFunctions(text *strings.Builder, functions []results.Function) {
	if len(functions) == 0 {
		return
	}
	text.WriteString("\n### Functions\n\n| package | benchmark | time | bytes | allocations | |\n|---|---|---|---|---|---|\n")
	for _, f := range functions {
		extra := ""
		if bytes, ok := f.Extra[memoryUnit]; ok {
			extra = fmt.Sprintf("%.0f bytes a replica", bytes)
		}
		fmt.Fprintf(text, "| %s | %s | %s | %.0f | %.0f | %s |\n", f.Package, f.Name, duration(f.Nanos), f.Bytes, f.Allocs, extra)
	}
}

func duration(nanos float64) string {
	switch {
	case nanos < 1e3:
		return fmt.Sprintf("%.3g ns", nanos)
	case nanos < 1e6:
		return fmt.Sprintf("%.3g µs", nanos/1e3)
	case nanos < 1e9:
		return fmt.Sprintf("%.3g ms", nanos/1e6)
	default:
		return fmt.Sprintf("%.3g s", nanos/1e9)
	}
}
