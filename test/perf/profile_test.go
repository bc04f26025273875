// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"fmt"
	"os"
	"path/filepath"

	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	_ "roost.dev/roost/apis/config/scheme" // the plugins' arguments
	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
	"roost.dev/roost/plugins/restoregate"
	"roost.dev/roost/plugins/storagehealth"
	"roost.dev/roost/plugins/volumelocality"
	"roost.dev/roost/test/perf/results"
)

// registry has the plugins of cmd/kube-scheduler, for one scheduler.
type registry struct {
	plugins frameworkruntime.Registry
	drivers *plugins.Drivers
}

func newRegistry() registry {
	shared := plugins.NewDrivers(drivers.NewMetrics())
	return registry{drivers: shared, plugins: frameworkruntime.Registry{
		storagehealth.Name:  storagehealth.NewFactory(shared, plugins.NewStorageNodes()),
		restoregate.Name:    restoregate.New,
		volumelocality.Name: volumelocality.NewFactory(shared, plugins.NewSnapshots(), plugins.NewPools(clock.RealClock{})),
	}}
}

var shippedConfig = filepath.Join("..", "..", "manifests", "components", "scheduler", "scheduler-config.yaml")

// writeProfile makes a scheduler's configuration of the shipped one. The stock profile has none.
func writeProfile(dir string, profile results.Profile) (string, error) {
	if profile == results.Stock {
		return "", nil
	}
	content, err := os.ReadFile(shippedConfig)
	if err != nil {
		return "", fmt.Errorf("reading the shipped configuration: %w", err)
	}
	var config struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Profiles   []map[string]any `json:"profiles"`
	}
	if err := yaml.Unmarshal(content, &config); err != nil || len(config.Profiles) != 1 {
		return "", fmt.Errorf("the shipped configuration has %d profiles, want one (%w)", len(config.Profiles), err)
	}
	// scheduler_perf's pods name no scheduler.
	config.Profiles[0]["schedulerName"] = "default-scheduler"
	if profile == results.ScoreOnly {
		config.Profiles[0]["pluginConfig"] = []any{map[string]any{"name": volumelocality.Name, "args": map[string]any{"dataNodesFirst": false}}}
	}
	if content, err = yaml.Marshal(config); err != nil {
		return "", fmt.Errorf("writing profile %s: %w", profile, err)
	}
	path := filepath.Join(dir, string(profile)+".yaml")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return "", fmt.Errorf("writing profile %s: %w", profile, err)
	}
	return path, nil
}
