// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

func TestStoreRefusesAnotherKind(t *testing.T) {
	s := &store[*storagev1alpha1.StorageReport]{mirror: New(Options[*storagev1alpha1.StorageReport]{
		Kind: "StorageReport", Names: func() []string { return nil },
	})}
	for name, call := range map[string]func(any) error{
		"Add": s.Add, "Update": s.Update, "Delete": s.Delete, "Replace": func(object any) error { return s.Replace([]any{object}, "") },
	} {
		if err := call(&storagev1alpha1.VolumeTopology{}); err == nil {
			t.Errorf("%s takes a VolumeTopology for a StorageReport, want an error", name)
		}
	}
	if s.mirror.HasSynced() {
		t.Error("the kind is synced after a list that was refused, want not")
	}
}

func TestListOptionsKeepLimitAndContinueToken(t *testing.T) {
	got := listOptions(metav1.ListOptions{Limit: 7, Continue: "token", ResourceVersion: "0"}).AsListOptions()
	if got.Limit != 7 || got.Continue != "token" || got.ResourceVersion != "0" {
		t.Errorf("list options are %+v, want limit 7, continue token %q and resource version 0", got, "token")
	}
}

func TestObjectsOfOneNameInTwoNamespacesAreTwo(t *testing.T) {
	claim := func(namespace string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "data"}}
	}
	names := []string{"one/data", "two/data"}
	var removed []string
	s := &store[*corev1.PersistentVolumeClaim]{mirror: New(Options[*corev1.PersistentVolumeClaim]{
		Kind:   "PersistentVolumeClaim",
		Put:    func(klog.Logger, *corev1.PersistentVolumeClaim) {},
		Names:  func() []string { return names },
		Remove: func(name string) { removed = append(removed, name) },
	})}
	if err := s.Replace([]any{claim("two")}, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(claim("two")); err != nil {
		t.Fatal(err)
	}
	slices.Sort(removed)
	if diff := cmp.Diff([]string{"one/data", "two/data"}, removed); diff != "" {
		t.Errorf("removed, by a list without one and the deletion of the other (-want +got):\n%s", diff)
	}
}
