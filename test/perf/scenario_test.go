// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"roost.dev/roost/test/perf/results"
)

const (
	scenariosFile = "performance-config.yaml"
	// A quick run has one workload of each scenario, with a part of the pods.
	quickWorkload = "1000Nodes"
	quickPart     = 5
)

// scenario is a test case of upstream's format, of which only what is needed here is looked into.
type scenario struct {
	name     string
	testCase map[string]any
}

func readScenarios(path string) ([]*scenario, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the scenarios: %w", err)
	}
	var testCases []map[string]any
	if err := yaml.UnmarshalStrict(content, &testCases); err != nil {
		return nil, fmt.Errorf("reading the scenarios of %s: %w", path, err)
	}
	var scenarios []*scenario
	for _, testCase := range testCases {
		name, _ := testCase["name"].(string)
		scenarios = append(scenarios, &scenario{name: name, testCase: testCase})
	}
	return scenarios, nil
}

// workloads are the names of those to run.
func (s *scenario) workloads(quick bool) []string {
	var names []string
	for _, workload := range s.all() {
		if name, _ := workload["name"].(string); !quick || name == quickWorkload {
			names = append(names, name)
		}
	}
	return names
}

// located says that the pods' volumes have a place.
func (s *scenario) located() bool {
	for _, workload := range s.all() {
		if params, _ := workload["params"].(map[string]any); params["volumes"] == float64(0) || params["unbound"] == float64(1) {
			return false
		}
	}
	return true
}

func (s *scenario) all() []map[string]any {
	var workloads []map[string]any
	list, _ := s.testCase["workloads"].([]any)
	for i := range list {
		if workload, ok := list[i].(map[string]any); ok {
			workloads = append(workloads, workload)
		}
	}
	return workloads
}

// write makes a file of upstream's format that has one workload, with the nth part of its pods, under one profile.
func (s *scenario) write(dir, name string, profile results.Profile, part float64) (string, error) {
	testCase := maps.Clone(s.testCase)
	for _, workload := range s.all() {
		if workload["name"] != name {
			continue
		}
		workload = maps.Clone(workload)
		params, _ := workload["params"].(map[string]any)
		pods, _ := params["pods"].(float64)
		params = maps.Clone(params)
		params["pods"] = pods / part
		workload["params"] = params
		testCase["workloads"] = []any{workload}
	}
	config, err := writeProfile(dir, profile)
	if err != nil {
		return "", err
	}
	if config != "" {
		testCase["schedulerConfigPath"] = config
	}
	content, err := yaml.Marshal([]any{testCase})
	if err != nil {
		return "", fmt.Errorf("writing scenario %s: %w", s.name, err)
	}
	path := filepath.Join(dir, scenariosFile)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return "", fmt.Errorf("writing scenario %s: %w", s.name, err)
	}
	return path, nil
}
