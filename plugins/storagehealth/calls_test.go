// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/all"
	"roost.dev/roost/internal/mirror/mirrortest"
	"roost.dev/roost/plugins"
)

// counting is an API server that counts what it is asked.
type counting struct {
	*mirrortest.API
	calls atomic.Int64
}

func (c *counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.calls.Add(1)
	return c.API.List(ctx, list, options...)
}

func (c *counting) Watch(ctx context.Context, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	c.calls.Add(1)
	return c.API.Watch(ctx, list, options...)
}

// TestNoCallsWhilePlacing places a pod with the compiled-in drivers and the StorageNodes of an API server, and counts what is
// asked of it between PreFilter and Score.
func TestNoCallsWhilePlacing(t *testing.T) {
	api := &counting{API: mirrortest.New()}
	api.Write(&storagev1alpha1.StorageReport{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec:       storagev1alpha1.StorageReportSpec{Provisioner: provisioner, NodeName: "a"},
		Status:     storagev1alpha1.StorageReportStatus{State: storagev1alpha1.StorageOffline, HeartbeatTime: metav1.NewMicroTime(testEpoch)},
	})
	api.Write(&storagev1alpha1.StorageNode{
		ObjectMeta: metav1.ObjectMeta{Name: "b"},
		Spec:       storagev1alpha1.StorageNodeSpec{Provisioner: provisioner, NodeName: "b"},
		Status:     storagev1alpha1.StorageNodeStatus{State: storagev1alpha1.HealthSuspect},
	})
	f := newFixture(t, world{objects: append(installed(provisioner), csi("data", provisioner)...)})
	f.pl.health = health{registry: compiledInDrivers(t, f, api), storageNodes: followed(t, f, api)}

	f.client.ClearActions()
	api.calls.Store(0)
	want := outcome{Rejected: map[string]string{"a": "node(s) whose csi.example.com storage is Offline"}, Scores: []int64{60, 100}}
	if diff := cmp.Diff(want, f.attempt(newPod("db-0", "data"))); diff != "" {
		t.Fatalf("outcome (-want +got):\n%s", diff)
	}
	if actions := f.client.Actions(); len(actions) != 0 {
		t.Errorf("%d requests to the API server, want 0: %v", len(actions), actions)
	}
	if n := api.calls.Load(); n != 0 {
		t.Errorf("%d requests for what is published, want 0", n)
	}
}

// compiledInDrivers run until the test ends, and have read everything.
func compiledInDrivers(t *testing.T, f *fixture, api *counting) *drivers.Registry {
	t.Helper()
	registry := drivers.NewRegistry(f.clock, drivers.NewMetrics())
	if err := all.Add(registry, all.Dependencies{Client: api, Informers: f.handle.informers, Clock: f.clock}); err != nil {
		t.Fatalf("adding the drivers: %v", err)
	}
	f.handle.informers.Start(t.Context().Done())
	go registry.Run(t.Context())
	waitUntil(t, "the drivers have synced", registry.HasSynced)
	return registry
}

func followed(t *testing.T, f *fixture, api *counting) *plugins.StorageNodes {
	t.Helper()
	storageNodes := plugins.NewStorageNodes()
	storageNodes.Follow(t.Context(), api, f.clock)
	waitUntil(t, "the watches have begun", func() bool { return api.calls.Load() >= 3 })
	return storageNodes
}
