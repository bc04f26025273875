// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	if _, err := envtest.InstallCRDs(s.Config, envtest.CRDInstallOptions{
		Paths: files, Scheme: s.Client.Scheme(), MaxTime: time.Minute, PollInterval: 50 * time.Millisecond,
	}); err != nil {
		return fmt.Errorf("installing the definitions in %s: %w", strings.Join(dirs, " and "), err)
	}
	return nil
}

// apply writes every object of a YAML file. It is false where there is no such file.
func (s *Sandbox) apply(ctx context.Context, path string) (bool, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading manifest: %w", err)
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("reading manifest %s: %w", path, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := s.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership); err != nil {
			return false, fmt.Errorf("applying %s %s of %s: %w", object.GetKind(), object.GetName(), path, err)
		}
	}
}
