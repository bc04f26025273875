// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What a page shows, somebody will paste.
var _ = Describe("The API server takes what the docs show", func() {
	for _, pages := range []string{"docs/choosing-roost.md", "docs/snapshots/*", "manifests/examples/hooks/*"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pages)))
		if err != nil || len(files) == 0 {
			panic("no pages like " + pages)
		}
		for _, file := range files {
			for _, manifest := range manifestsIn(file) {
				It(filepath.Base(file)+": "+titleOf(manifest), func(ctx SpecContext) {
					s := newSpace(ctx, shared)
					object := objectOf(manifest)
					if s.isNamespaced(object) {
						object.SetNamespace(s.namespace)
					}
					Expect(s.client.Create(ctx, object, client.DryRunAll)).To(Succeed())
				})
			}
		}
	}
})

// manifestsIn are the objects that a page shows, or that a YAML file has.
func manifestsIn(file string) []string {
	content, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	if filepath.Ext(file) == ".yaml" {
		return strings.Split(string(content), "\n---\n")
	}
	var found []string
	for _, after := range strings.Split(string(content), "```yaml\n")[1:] {
		manifests, _, _ := strings.Cut(after, "```")
		found = append(found, strings.Split(manifests, "\n---\n")...)
	}
	return found
}

// titleOf is the kind and name, for the spec's name.
func titleOf(manifest string) string {
	var title []string
	for line := range strings.Lines(manifest) {
		for _, field := range []string{"kind: ", "  name: "} {
			if value, ok := strings.CutPrefix(line, field); ok && len(title) < 2 {
				title = append(title, strings.TrimSpace(value))
			}
		}
	}
	return strings.Join(title, " ")
}

func (s *space) isNamespaced(object *unstructured.Unstructured) bool {
	GinkgoHelper()
	gvk := object.GroupVersionKind()
	mapping, err := s.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	Expect(err).NotTo(HaveOccurred())
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace
}
