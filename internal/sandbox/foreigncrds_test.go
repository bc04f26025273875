// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"
)

func TestPodGroupDefinitionHasTheFieldsOfTheGoTypes(t *testing.T) {
	definition, err := foreignCRD("scheduling.x-k8s.io_podgroups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	version := definition.Spec.Versions[0]
	if got := definition.Spec.Group + "/" + version.Name; got != schedulingv1alpha1.SchemeGroupVersion.String() {
		t.Errorf("group and version are %s, want %s", got, schedulingv1alpha1.SchemeGroupVersion)
	}
	for part, kind := range map[string]reflect.Type{
		"spec":   reflect.TypeFor[schedulingv1alpha1.PodGroupSpec](),
		"status": reflect.TypeFor[schedulingv1alpha1.PodGroupStatus](),
	} {
		var got, want []string
		for name := range version.Schema.OpenAPIV3Schema.Properties[part].Properties {
			got = append(got, name)
		}
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("fields of %s (-want +got):\n%s", part, diff)
		}
	}
}

func TestForeignDefinitionsCanBeRead(t *testing.T) {
	entries, err := foreignCRDs.ReadDir("crds")
	if err != nil || len(entries) != 2 {
		t.Fatalf("ReadDir() = %v, %v, want two definitions", entries, err)
	}
	for _, entry := range entries {
		definition, err := foreignCRD(entry.Name())
		if err != nil {
			t.Error(err)
			continue
		}
		if want := definition.Spec.Group + "_" + definition.Spec.Names.Plural + ".yaml"; entry.Name() != want {
			t.Errorf("file is called %s, want %s", entry.Name(), want)
		}
	}
}
