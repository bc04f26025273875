// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/all"
)

// TestNoCallsWhilePlacing places a pod with the compiled-in drivers, and counts what they and the plugin ask the API server
// between PreFilter and Score.
func TestNoCallsWhilePlacing(t *testing.T) {
	storage, calls := publishing(t,
		&storagev1alpha1.VolumeTopology{
			ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: provisioner, VolumeHandle: "handle-of-data"},
			Status:     storagev1alpha1.VolumeTopologyStatus{Replicas: []storagev1alpha1.VolumeReplica{{NodeName: "a1", State: storagev1alpha1.ReplicaInSync}}},
		},
		&storagev1alpha1.StorageReport{
			ObjectMeta: metav1.ObjectMeta{Name: "a1"},
			Spec:       storagev1alpha1.StorageReportSpec{Provisioner: provisioner, NodeName: "a1"},
			Status:     storagev1alpha1.StorageReportStatus{State: storagev1alpha1.StorageOnline, HeartbeatTime: metav1.NowMicro()},
		})
	f := newFixture(t, world{nodes: sixNodes(), objects: claimAndPV("data"), driver: &memory{}})
	f.pl.registry = compiledInDrivers(t, f, storage)

	f.client.ClearActions()
	calls.Store(0)
	got, _ := f.attempt(podUsing("data"))
	if !slices.Equal(got.Nodes, []string{"a1"}) || !slices.Equal(got.Scores, []int64{100, 50, 25, 25, 0, 0}) {
		t.Fatalf("nodes %v, scores %v: the drivers did not place the pod", got.Nodes, got.Scores)
	}
	if actions := f.client.Actions(); len(actions) != 0 {
		t.Errorf("%d requests to the API server, want 0: %v", len(actions), actions)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d requests for what the storage system publishes, want 0", n)
	}
}

// listing is a client that lists before it watches, as the fake client needs it.
type listing struct{ client.WithWatch }

// IsWatchListSemanticsUnSupported is how client-go asks for that.
func (listing) IsWatchListSemanticsUnSupported() bool { return true }

// publishing returns a client that a storage system has written the objects with, and a count of its calls.
func publishing(t *testing.T, objects ...client.Object) (client.WithWatch, *atomic.Int64) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := storagev1alpha1.AddToScheme(scheme); err != nil {
		t.Fatalf("registering kinds: %v", err)
	}
	calls := &atomic.Int64{}
	return listing{clientfake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			calls.Add(1)
			return c.Get(ctx, key, object, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			calls.Add(1)
			return c.List(ctx, list, options...)
		},
		Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
			calls.Add(1)
			return c.Watch(ctx, list, options...)
		},
	}).Build()}, calls
}

// compiledInDrivers runs them until the test ends, and returns when they have read everything.
func compiledInDrivers(t *testing.T, f *fixture, storage client.WithWatch) *drivers.Registry {
	t.Helper()
	informers := f.pl.handle.SharedInformerFactory()
	registry := drivers.NewRegistry(clock.RealClock{}, drivers.NewMetrics())
	if err := all.Add(registry, all.Dependencies{Client: storage, Informers: informers, Clock: clock.RealClock{}}); err != nil {
		t.Fatalf("adding the drivers: %v", err)
	}
	informers.Start(t.Context().Done())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	go registry.Run(ctx)
	waitUntil(t, func() bool {
		return registry.HasSynced() && registry.Locate(drivers.VolumeID{Provisioner: provisioner, Handle: "handle-of-data"}).Knowledge == drivers.Known
	})
	return registry
}
