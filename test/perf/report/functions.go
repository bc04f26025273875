// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"roost.dev/roost/test/perf/results"
)

// processors is what Go puts behind a benchmark's name: how many there were.
var processors = regexp.MustCompile(`-\d+$`)

func readFunctions(path string) ([]results.Function, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading Go's benchmarks: %w", err)
	}
	functions, err := parseFunctions(string(content))
	if err != nil {
		return nil, fmt.Errorf("reading Go's benchmarks of %s: %w", path, err)
	}
	return functions, nil
}

// parseFunctions reads what `go test -bench` prints: "pkg: path", and a line each benchmark, of its name, how often it ran, and
// pairs of a value and a unit.
func parseFunctions(output string) ([]results.Function, error) {
	var functions []results.Function
	pkg := ""
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "pkg:":
			pkg = fields[1]
		case len(fields) >= 4 && strings.HasPrefix(fields[0], "Benchmark"):
			f, err := parseFunction(fields)
			if err != nil {
				return nil, err
			}
			f.Package = strings.TrimPrefix(pkg, "roost.dev/roost/")
			functions = append(functions, f)
		}
	}
	return functions, nil
}

func parseFunction(fields []string) (results.Function, error) {
	f := results.Function{Name: processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return f, fmt.Errorf("value of %s: %w", f.Name, err)
		}
		switch unit := fields[i+1]; unit {
		case "ns/op":
			f.Nanos = value
		case "B/op":
			f.Bytes = value
		case "allocs/op":
			f.Allocs = value
		default:
			if f.Extra == nil {
				f.Extra = map[string]float64{}
			}
			f.Extra[unit] = value
		}
	}
	return f, nil
}
