// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const (
	schedulerConfig = `
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

	managerConfig = `
kind: ControllerManagerConfiguration
leaderElection:
  leaderElect: false
  leaseDuration: 15s
metrics:
  bindAddress: ":8443"
controllers: ["*"]
`
)

func TestLocalConfigKeepsTheRest(t *testing.T) {
	m := &Manager{health: "127.0.0.1:1", metrics: "127.0.0.1:2"}
	for name, tc := range map[string]struct {
		config   string
		settings []setting
		want     map[string]any
	}{
		"the scheduler's": {
			config: schedulerConfig, settings: schedulerSettings("/dir/kubeconfig"),
			want: map[string]any{
				"apiVersion":       "kubescheduler.config.k8s.io/v1",
				"kind":             "KubeSchedulerConfiguration",
				"clientConnection": map[string]any{"qps": float64(100), "kubeconfig": "/dir/kubeconfig"},
				"leaderElection":   map[string]any{"leaderElect": false, "resourceName": "roost-scheduler"},
				"profiles":         []any{map[string]any{"schedulerName": "roost"}},
			},
		},
		"the controller manager's, with leader election": {
			config: managerConfig, settings: m.settings("/dir/kubeconfig", true),
			want: map[string]any{
				"kind":             "ControllerManagerConfiguration",
				"clientConnection": map[string]any{"kubeconfig": "/dir/kubeconfig"},
				"leaderElection":   map[string]any{"leaderElect": true, "leaseDuration": "15s"},
				"metrics":          map[string]any{"bindAddress": "127.0.0.1:2", "secure": false},
				"health":           map[string]any{"bindAddress": "127.0.0.1:1"},
				"controllers":      []any{"*"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			local, err := localConfig("p", []byte(tc.config), tc.settings)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			if err := yaml.Unmarshal(local, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
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
			_, err := localConfig("roost-scheduler", []byte(config), schedulerSettings("k"))
			if err == nil || !strings.Contains(err.Error(), "the configuration of roost-scheduler") {
				t.Errorf("localConfig() = %v, want an error that names the configuration of roost-scheduler", err)
			}
		})
	}
}
