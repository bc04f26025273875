// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// fieldOwner is who the sandbox is in managed fields.
const fieldOwner = client.FieldOwner("roost-sandbox")

// InstallRoostCRDs installs Roost's CustomResourceDefinitions and waits until they are served. Use it where the sandbox was
// started without RoostCRDs.
func (s *Sandbox) InstallRoostCRDs() error { return s.installCRDs(s.roostCRDs()) }

func (s *Sandbox) roostCRDs() string { return filepath.Join(s.opts.ManifestsDir, "components", "crds") }

// snapshotCRDs is where the build has copied the definitions of the CSI snapshot API to.
func (s *Sandbox) snapshotCRDs() string { return filepath.Join(s.opts.BinDir, "k8s", "crds") }

// installCRDs installs what is in the YAML files of directories and waits until it is served.
func (s *Sandbox) installCRDs(dirs ...string) error {
	var files []string
	for _, dir := range dirs {
		// A kustomization.yaml may lie beside the definitions, which are named group_plural.yaml.
		found, err := filepath.Glob(filepath.Join(dir, "*_*.yaml"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no CustomResourceDefinitions in %s; `make build` makes them", dir)
		}
		files = append(files, found...)
	}
	return s.install(envtest.CRDInstallOptions{Paths: files}, strings.Join(dirs, " and "))
}

// install installs definitions that come from somewhere and waits until they are served.
func (s *Sandbox) install(options envtest.CRDInstallOptions, from string) error {
	options.Scheme, options.MaxTime, options.PollInterval = s.Client.Scheme(), time.Minute, 50*time.Millisecond
	if _, err := envtest.InstallCRDs(s.Config, options); err != nil {
		return fmt.Errorf("installing the definitions of %s: %w", from, err)
	}
	return nil
}

// apply writes every object of a YAML file.
func (s *Sandbox) apply(ctx context.Context, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading manifest: %w", err)
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading manifest %s: %w", path, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := s.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("applying %s %s of %s: %w", object.GetKind(), object.GetName(), path, err)
		}
	}
}
