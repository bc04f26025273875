// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestLocalConfigKeepsTheRest(t *testing.T) {
	const shipped = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  qps: 100
leaderElection:
  leaderElect: true
  resourceName: roost-scheduler
profiles:
- schedulerName: roost
`
	local, err := localConfig([]byte(shipped), "/dir/kubeconfig")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	if err := yaml.Unmarshal(local, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion":       "kubescheduler.config.k8s.io/v1",
		"kind":             "KubeSchedulerConfiguration",
		"clientConnection": map[string]any{"qps": float64(100), "kubeconfig": "/dir/kubeconfig"},
		"leaderElection":   map[string]any{"leaderElect": false, "resourceName": "roost-scheduler"},
		"profiles":         []any{map[string]any{"schedulerName": "roost"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestLocalConfigRefusesWhatIsNoConfiguration(t *testing.T) {
	for name, config := range map[string]string{
		"not YAML":                "{",
		"a list":                  "- a",
		"a section that is text":  "leaderElection: none",
		"a connection that is no": "clientConnection: 7",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := localConfig([]byte(config), "k"); err == nil || !strings.Contains(err.Error(), "the scheduler's configuration") {
				t.Errorf("localConfig() = %v, want an error that names the scheduler's configuration", err)
			}
		})
	}
}
