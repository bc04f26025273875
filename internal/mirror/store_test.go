// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
