// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedvalidation "k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	"sigs.k8s.io/yaml"

	"roost.dev/roost/apis/config"
	configscheme "roost.dev/roost/apis/config/scheme"
	"roost.dev/roost/plugins/volumelocality"
	"roost.dev/roost/test/perf/results"
)

// written is what matters of a file of upstream's format.
type written struct {
	Name                string `json:"name"`
	SchedulerConfigPath string `json:"schedulerConfigPath"`
	WorkloadTemplate    []struct {
		Opcode           string `json:"opcode"`
		NodeTemplatePath string `json:"nodeTemplatePath"`
		PodTemplatePath  string `json:"podTemplatePath"`
		CollectMetrics   bool   `json:"collectMetrics"`
	} `json:"workloadTemplate"`
	Workloads []struct {
		Name   string         `json:"name"`
		Params map[string]int `json:"params"`
	} `json:"workloads"`
}

func TestEveryScenarioIsReadyToRun(t *testing.T) {
	scenarios, err := readScenarios(scenariosFile)
	if err != nil || len(scenarios) == 0 {
		t.Fatalf("readScenarios() = %d scenarios, %v", len(scenarios), err)
	}
	for _, s := range scenarios {
		for _, workload := range s.workloads(false) {
			t.Run(s.name+"/"+workload, func(t *testing.T) {
				whole, part := readBack(t, s, workload, 1), readBack(t, s, workload, quickPart)
				if len(whole.Workloads) != 1 || whole.Workloads[0].Name != workload || fmt.Sprintf("%dNodes", whole.Workloads[0].Params["nodes"]) != workload {
					t.Fatalf("workloads = %+v, want %s alone", whole.Workloads, workload)
				}
				if got, want := part.Workloads[0].Params["pods"]*quickPart, whole.Workloads[0].Params["pods"]; got != want {
					t.Errorf("%d times a part of the pods = %d, want %d", quickPart, got, want)
				}
				checkTemplate(t, whole)
			})
		}
	}
}

func checkTemplate(t *testing.T, testCase written) {
	t.Helper()
	collects := false
	for _, op := range testCase.WorkloadTemplate {
		collects = collects || op.CollectMetrics
		for _, template := range []string{op.NodeTemplatePath, op.PodTemplatePath} {
			if _, err := os.Stat(template); template != "" && err != nil {
				t.Errorf("template: %v", err)
			}
		}
	}
	if !collects {
		t.Error("nothing is measured")
	}
}

func readBack(t *testing.T, s *scenario, workload string, part float64) written {
	t.Helper()
	path, err := s.write(t.TempDir(), workload, results.Roost, part)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var testCases []written
	if err := yaml.Unmarshal(content, &testCases); err != nil || len(testCases) != 1 {
		t.Fatalf("the file has %d test cases (%v), want 1", len(testCases), err)
	}
	return testCases[0]
}

func TestProfilesDifferInOneArgument(t *testing.T) {
	dir := t.TempDir()
	first := map[results.Profile]bool{}
	for _, profile := range []results.Profile{results.ScoreOnly, results.Roost} {
		path, err := writeProfile(dir, profile)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := configscheme.Codecs.UniversalDecoder().Decode(content, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		loaded := object.(*schedconfig.KubeSchedulerConfiguration)
		if err := schedvalidation.ValidateKubeSchedulerConfiguration(loaded); err != nil {
			t.Errorf("profile %s: %v", profile, err)
		}
		for _, plugin := range loaded.Profiles[0].PluginConfig {
			if args, ok := plugin.Args.(*config.VolumeLocalityArgs); ok && plugin.Name == volumelocality.Name {
				first[profile] = args.DataNodesFirst
			}
		}
	}
	if diff := cmp.Diff(map[results.Profile]bool{results.ScoreOnly: false, results.Roost: true}, first); diff != "" {
		t.Errorf("dataNodesFirst (-want +got):\n%s", diff)
	}
	if path, err := writeProfile(dir, results.Stock); path != "" || err != nil {
		t.Errorf("the stock profile has a configuration: %q, %v", path, err)
	}
}

func TestStockAndRoostTakeTurns(t *testing.T) {
	scenarios, err := readScenarios(scenariosFile)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		scenario string
		quick    bool
		want     []string
	}{
		"a scenario of volumes with a place": {
			scenario: "Pinned",
			want: []string{
				"WarmUp",
				"Pinned/1000Nodes/stock/0", "Pinned/1000Nodes/roost/0", "Pinned/1000Nodes/score-only/0", "Pinned/1000Nodes/roost/1", "Pinned/1000Nodes/stock/1",
				"Pinned/5000Nodes/stock/0", "Pinned/5000Nodes/roost/0", "Pinned/5000Nodes/roost/1", "Pinned/5000Nodes/stock/1",
			},
		},
		"what has no ratio to hold runs once": {scenario: "FourVolumes", want: []string{
			"WarmUp",
			"FourVolumes/1000Nodes/stock/0", "FourVolumes/1000Nodes/roost/0", "FourVolumes/1000Nodes/score-only/0",
			"FourVolumes/5000Nodes/roost/0", "FourVolumes/5000Nodes/stock/0", "FourVolumes/5000Nodes/score-only/0",
		}},
		"a quick run": {scenario: "AnyNode", quick: true, want: []string{
			"WarmUp", "AnyNode/1000Nodes/stock/0", "AnyNode/1000Nodes/roost/0", "AnyNode/1000Nodes/score-only/0",
		}},
		"volumes without a place have no score to try": {scenario: "Unbound", quick: true, want: []string{
			"WarmUp", "Unbound/1000Nodes/stock/0", "Unbound/1000Nodes/roost/0",
		}},
		"a scenario that there is not": {scenario: "None"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range plan(scenarios, tc.quick, tc.scenario) {
				got = append(got, r.name())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("plan() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDataNodes(t *testing.T) {
	anywhere, inFullRacks := shape{nodes: 1000}, shape{nodes: 1000, full: true}
	for pod := range 1000 {
		if nodes := sets.New(anywhere.dataNodes(pod)...); len(nodes) != replicasEach {
			t.Fatalf("pod %d has its replicas on %d nodes, want %d", pod, len(nodes), replicasEach)
		}
		for rack, node := range inFullRacks.dataNodes(pod) {
			var i int
			if _, err := fmt.Sscanf(node, "node-%d", &i); err != nil || i/rackSize != rack {
				t.Fatalf("pod %d has a replica on %s, want a node of rack %d", pod, node, rack)
			}
		}
	}
}
