// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"embed"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// foreignCRDs are definitions of other projects' kinds that Roost reads where they are installed.
//
//go:embed crds/*.yaml
var foreignCRDs embed.FS

// InstallPodGroupCRD installs the kind PodGroup of scheduler-plugins and waits until it is served.
func (s *Sandbox) InstallPodGroupCRD() error {
	return s.installForeignCRD("scheduling.x-k8s.io_podgroups.yaml")
}

// InstallNetworkFenceCRD installs the kind NetworkFence of CSI-addons and waits until it is served. Nobody acts on it: tests
// write its status.
func (s *Sandbox) InstallNetworkFenceCRD() error {
	return s.installForeignCRD("csiaddons.openshift.io_networkfences.yaml")
}

func (s *Sandbox) installForeignCRD(file string) error {
	definition, err := foreignCRD(file)
	if err != nil {
		return err
	}
	return s.install(envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{definition}}, file)
}

func foreignCRD(file string) (*apiextensionsv1.CustomResourceDefinition, error) {
	content, err := foreignCRDs.ReadFile("crds/" + file)
	if err != nil {
		return nil, fmt.Errorf("reading the definition %s: %w", file, err)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, definition); err != nil {
		return nil, fmt.Errorf("reading the definition %s: %w", file, err)
	}
	return definition, nil
}
