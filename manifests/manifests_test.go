// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	kustomizetypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	configscheme "roost.dev/roost/apis/config/scheme"
	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const kustomizationFile = "kustomization.yaml"

// strictDecoder knows every kind that a manifest may have, and refuses an unknown or duplicate field.
func strictDecoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(managerv1alpha1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1alpha1.AddToScheme(scheme))
	scheme.AddKnownTypeWithName(prometheusRuleKind, &prometheusRule{})
	configscheme.AddToScheme(scheme)
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// decodeAll decodes every document of a YAML text.
func decodeAll(t *testing.T, text []byte) []runtime.Object {
	t.Helper()
	decoder, reader := strictDecoder(), utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var objects []runtime.Object
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, err := runtime.Decode(decoder, document)
		if err != nil {
			t.Fatalf("decoding: %v\n%s", err, document)
		}
		objects = append(objects, object)
	}
}

func decodeFile(t *testing.T, path ...string) []runtime.Object {
	t.Helper()
	return decodeAll(t, readFile(t, path...))
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// all gives the objects of one type.
func all[T runtime.Object](objects []runtime.Object) []T {
	var found []T
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// one gives the only object of a type.
func one[T runtime.Object](t *testing.T, objects []runtime.Object) T {
	t.Helper()
	found := all[T](objects)
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T, want 1", len(found), *new(T))
	}
	return found[0]
}

// build gives what `kubectl apply -k` applies.
func build(t *testing.T, dir string) []runtime.Object {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decodeAll(t, text)
}

func TestEveryFileDecodesStrictly(t *testing.T) {
	decoded := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		decoded++
		t.Run(path, func(t *testing.T) {
			if filepath.Base(path) == kustomizationFile {
				if err := new(kustomizetypes.Kustomization).Unmarshal(readFile(t, path)); err != nil {
					t.Error(err)
				}
				return
			}
			if len(decodeFile(t, path)) == 0 {
				t.Error("no object in it")
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if decoded == 0 {
		t.Fatal("found no YAML file")
	}
}

// A definition that is generated and not listed would never be installed.
func TestEveryDefinitionIsInstalled(t *testing.T) {
	var kustomization kustomizetypes.Kustomization
	if err := kustomization.Unmarshal(readFile(t, "components", "crds", kustomizationFile)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("components", "crds", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range files {
		if name := filepath.Base(file); name != kustomizationFile {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, kustomization.Resources); diff != "" {
		t.Errorf("resources of the kustomization (-files +listed):\n%s", diff)
	}
}

// installed is everything that default installs.
var installed = []string{
	"ClusterRole roost-controller-manager",
	"ClusterRole roost-controller-manager-hooks",
	"ClusterRole roost-controller-manager-metrics-reader",
	"ClusterRole roost-controller-manager-snapshots",
	"ClusterRole roost-scheduler",
	"ClusterRoleBinding roost-controller-manager",
	"ClusterRoleBinding roost-controller-manager-hooks",
	"ClusterRoleBinding roost-controller-manager-snapshots",
	"ClusterRoleBinding roost-scheduler",
	"ClusterRoleBinding roost-scheduler-as-kube-scheduler",
	"ClusterRoleBinding roost-scheduler-as-volume-scheduler",
	"ConfigMap roost-system/roost-controller-manager-config-HASH",
	"ConfigMap roost-system/roost-scheduler-config-HASH",
	"CustomResourceDefinition applicationsnapshots.snapshot.roost.dev",
	"CustomResourceDefinition snapshotrestores.snapshot.roost.dev",
	"CustomResourceDefinition snapshotschedules.snapshot.roost.dev",
	"CustomResourceDefinition storagenodes.storage.roost.dev",
	"CustomResourceDefinition storagereports.storage.roost.dev",
	"CustomResourceDefinition volumetopologies.storage.roost.dev",
	"Deployment roost-system/roost-controller-manager",
	"Deployment roost-system/roost-scheduler",
	"Namespace roost-system",
	"PodDisruptionBudget roost-system/roost-controller-manager",
	"PodDisruptionBudget roost-system/roost-scheduler",
	"Role kube-node-lease/roost-controller-manager-node-leases",
	"Role roost-system/roost-controller-manager-leader-election",
	"Role roost-system/roost-scheduler-leader-election",
	"RoleBinding kube-node-lease/roost-controller-manager-node-leases",
	"RoleBinding kube-system/roost-scheduler-authentication-reader",
	"RoleBinding roost-system/roost-controller-manager-leader-election",
	"RoleBinding roost-system/roost-scheduler-leader-election",
	"Service roost-system/roost-controller-manager-metrics",
	"ServiceAccount roost-system/roost-controller-manager",
	"ServiceAccount roost-system/roost-scheduler",
	"ValidatingAdmissionPolicy applicationsnapshots.snapshot.roost.dev",
	"ValidatingAdmissionPolicy journals.snapshot.roost.dev",
	"ValidatingAdmissionPolicy labels.snapshot.roost.dev",
	"ValidatingAdmissionPolicy sharing.snapshot.roost.dev",
	"ValidatingAdmissionPolicy snapshotrestores.snapshot.roost.dev",
	"ValidatingAdmissionPolicy snapshotschedules.snapshot.roost.dev",
	"ValidatingAdmissionPolicyBinding applicationsnapshots.snapshot.roost.dev",
	"ValidatingAdmissionPolicyBinding journals.snapshot.roost.dev",
	"ValidatingAdmissionPolicyBinding labels.snapshot.roost.dev",
	"ValidatingAdmissionPolicyBinding sharing.snapshot.roost.dev",
	"ValidatingAdmissionPolicyBinding snapshotrestores.snapshot.roost.dev",
	"ValidatingAdmissionPolicyBinding snapshotschedules.snapshot.roost.dev",
}

func TestDefaultInstallsExactly(t *testing.T) {
	var got []string
	for _, object := range build(t, "default") {
		got = append(got, installedAs(t, object))
	}
	slices.Sort(got)
	if diff := cmp.Diff(installed, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// installedAs is how the list of what is installed calls an object.
func installedAs(t *testing.T, object runtime.Object) string {
	t.Helper()
	accessor, err := meta.Accessor(object)
	if err != nil {
		t.Fatal(err)
	}
	name := accessor.GetName()
	if _, isConfigMap := object.(*corev1.ConfigMap); isConfigMap {
		name = name[:strings.LastIndex(name, "-")] + "-HASH"
	}
	if accessor.GetNamespace() != "" {
		name = accessor.GetNamespace() + "/" + name
	}
	return object.GetObjectKind().GroupVersionKind().Kind + " " + name
}
