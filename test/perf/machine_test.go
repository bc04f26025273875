// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"roost.dev/roost/test/perf/results"
)

// thisMachine reads what Linux tells, which elsewhere is left empty.
func thisMachine() results.Machine {
	kibibytes, _ := strconv.Atoi(strings.TrimSuffix(firstOf("/proc/meminfo", "MemTotal"), " kB"))
	average, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(average), " ")
	load, _ := strconv.ParseFloat(minute, 64)
	return results.Machine{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: firstOf("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(),
		MemoryGiB: (kibibytes + 1<<19) >> 20, Go: runtime.Version(),
		// A test binary knows neither.
		Kubernetes: os.Getenv("ROOST_BENCH_KUBERNETES"), Commit: os.Getenv("ROOST_BENCH_COMMIT"), Load: load,
	}
}

// firstOf is the value of the first line "key: value".
func firstOf(path, key string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
