// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package results

import (
	"encoding/json"
	"fmt"
	"os"
)

// Profile is how the scheduler was configured.
type Profile string

const (
	// Stock is kube-scheduler's own default profile.
	Stock Profile = "stock"
	// ScoreOnly is the shipped profile with dataNodesFirst off.
	ScoreOnly Profile = "score-only"
	// Roost is the shipped profile.
	Roost Profile = "roost"
)

// File is one run of all that was asked for.
type File struct {
	Machine Machine `json:"machine"`
	// Command is what was called.
	Command string `json:"command"`
	// Quick says that few pods were measured, once each: enough to see that everything works, and too few for a ratio.
	Quick bool `json:"quick"`
	// Runs are in the order in which they were made.
	Runs []Run `json:"runs"`
	// Functions are the Go benchmarks.
	Functions []Function `json:"functions,omitempty"`
	// Binaries are sizes in bytes, by name.
	Binaries map[string]int64 `json:"binaries,omitempty"`
}

// Machine is where it ran, and with what.
type Machine struct {
	Date       string `json:"date"`
	CPU        string `json:"cpu"`
	CPUs       int    `json:"cpus"`
	MemoryGiB  int    `json:"memoryGiB"`
	Go         string `json:"go"`
	Kubernetes string `json:"kubernetes"`
	Commit     string `json:"commit"`
	// Load is the load average of a minute when the benchmark began: how busy the machine was with other work.
	Load float64 `json:"load"`
}

// Run is one scheduler on one API server, placing the pods of one scenario.
type Run struct {
	Scenario   string  `json:"scenario"`
	Profile    Profile `json:"profile"`
	Nodes      int     `json:"nodes"`
	Repetition int     `json:"repetition"`
	Pods       int     `json:"pods"`
	// Bound is how many pods the API server had on a node in the end.
	Bound int `json:"bound"`
	// Local is how many of them were on a node with an in-sync replica of all their volumes; nil where there is no such node.
	Local *int `json:"local,omitempty"`
	// Seconds is from the first pod created to the last one bound.
	Seconds float64 `json:"seconds"`
	// UpstreamRate is scheduler_perf's SchedulingThroughput, in pods a second: the mean of its samples, one each second but
	// the first. It is zero where all pods were bound before there were any.
	UpstreamRate float64 `json:"upstreamRate,omitempty"`
}

// Rate is in pods a second.
func (r Run) Rate() float64 {
	return float64(r.Bound) / r.Seconds
}

// Function is the result of a Go benchmark.
type Function struct {
	Package string  `json:"package"`
	Name    string  `json:"name"`
	Nanos   float64 `json:"nanos"`
	Bytes   float64 `json:"bytes"`
	Allocs  float64 `json:"allocs"`
	// Extra are the metrics that the benchmark reports itself, by unit.
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Load reads a file.
func Load(path string) (*File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	file := &File{}
	if err := json.Unmarshal(content, file); err != nil {
		return nil, fmt.Errorf("reading results of %s: %w", path, err)
	}
	return file, nil
}

// Save writes a file.
func (f *File) Save(path string) error {
	content, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return nil
}
