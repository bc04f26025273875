// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/all"
	"roost.dev/roost/drivers/generic"
)

// defaultFirstSync is how long the scheduler's start waits for what storage systems publish, so that after a restart pods
// are not placed as if nobody knew where their data is. Past it, a storage system that does not answer delays nobody.
const defaultFirstSync = 10 * time.Second

// Drivers are the process's storage drivers, made when the first plugin asks for them and shared by all plugins and
// profiles.
type Drivers struct {
	metrics   *drivers.Metrics
	extra     []drivers.Driver
	firstSync time.Duration

	once     sync.Once
	registry *drivers.Registry
	err      error
}

// NewDrivers returns the compiled-in drivers and those that an out-of-tree build adds.
func NewDrivers(metrics *drivers.Metrics, extra ...drivers.Driver) *Drivers {
	return &Drivers{metrics: metrics, extra: extra, firstSync: defaultFirstSync}
}

// Registry returns the registry. The first call makes it, starts its drivers, and waits a while for their first data; they
// run until that call's ctx is done.
func (d *Drivers) Registry(ctx context.Context, handle fwk.Handle) (*drivers.Registry, error) {
	d.once.Do(func() { d.registry, d.err = d.start(ctx, handle) })
	return d.registry, d.err
}

func (d *Drivers) start(ctx context.Context, handle fwk.Handle) (*drivers.Registry, error) {
	apiClient, err := newClient(handle.KubeConfig())
	if err != nil {
		return nil, err
	}
	registry := drivers.NewRegistry(clock.RealClock{}, d.metrics)
	for _, driver := range d.extra {
		if err := registry.Add(driver); err != nil {
			return nil, err
		}
	}
	dependencies := all.Dependencies{Client: apiClient, Informers: handle.SharedInformerFactory(), Clock: clock.RealClock{}}
	if err := all.Add(registry, dependencies); err != nil {
		return nil, err
	}
	go registry.Run(ctx)
	d.waitForFirstSync(ctx, registry)
	return registry, nil
}

// waitForFirstSync does not wait for the generic driver, which reads the scheduler's informers: they start after the plugins.
// What it knows, the nodes that a volume is pinned to, the in-tree plugins hold pods to in any case.
func (d *Drivers) waitForFirstSync(ctx context.Context, registry *drivers.Registry) {
	var missing []string
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, d.firstSync, true, func(context.Context) (bool, error) {
		missing = slices.DeleteFunc(registry.NotSynced(), func(name string) bool { return name == generic.Name })
		return len(missing) == 0, nil
	})
	if err != nil {
		klog.FromContext(ctx).Info("Starting without what these storage drivers know: they have not synced yet", "drivers", missing, "waited", d.firstSync)
	}
}

// newClient returns a client that reads the API server itself. It asks for JSON, the only encoding of custom resources.
func newClient(config *rest.Config) (client.WithWatch, error) {
	if config == nil {
		return nil, errors.New("the scheduler framework has no kubeconfig")
	}
	config = rest.CopyConfig(config)
	config.ContentType, config.AcceptContentTypes = "", ""
	scheme := runtime.NewScheme()
	if err := storagev1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the kinds of %s: %w", storagev1alpha1.GroupVersion, err)
	}
	// Given the kinds, the client need not ask the API server which it serves, by requests that no context ends.
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{storagev1alpha1.GroupVersion})
	mapper.Add(storagev1alpha1.GroupVersion.WithKind("VolumeTopology"), meta.RESTScopeRoot)
	mapper.Add(storagev1alpha1.GroupVersion.WithKind("StorageReport"), meta.RESTScopeRoot)
	apiClient, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", storagev1alpha1.GroupVersion, err)
	}
	return apiClient, nil
}
