// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// setting is a field of a configuration file and the value that it has in the sandbox.
type setting struct {
	value any
	path  []string
}

// localConfig makes a program's configuration fit for the sandbox and keeps the rest as it is.
func localConfig(program string, config []byte, settings []setting) ([]byte, error) {
	object := map[string]any{}
	if err := yaml.Unmarshal(config, &object); err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", program, err)
	}
	for _, set := range settings {
		if err := unstructured.SetNestedField(object, set.value, set.path...); err != nil {
			return nil, fmt.Errorf("changing the configuration of %s: %w", program, err)
		}
	}
	local, err := yaml.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("writing the configuration of %s: %w", program, err)
	}
	return local, nil
}

// configOr is a configuration, or the one that this repository ships where it is empty.
func (s *Sandbox) configOr(config, component, file string) ([]byte, error) {
	if config != "" {
		return []byte(config), nil
	}
	shipped, err := os.ReadFile(filepath.Join(s.opts.ManifestsDir, "components", component, file))
	if err != nil {
		return nil, fmt.Errorf("reading the shipped configuration of the %s: %w", component, err)
	}
	return shipped, nil
}

// writeLocalConfig writes the configuration of a program to a file of the sandbox and returns its path.
func (s *Sandbox) writeLocalConfig(program string, config []byte, settings []setting) (string, error) {
	local, err := localConfig(program, config, settings)
	if err != nil {
		return "", err
	}
	path := s.dir.path(program + ".yaml")
	if err := os.WriteFile(path, local, 0o600); err != nil {
		return "", fmt.Errorf("writing the configuration of %s: %w", program, err)
	}
	return path, nil
}
