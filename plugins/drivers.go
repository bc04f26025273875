// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

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
	apiClient, err := all.NewClient(handle.KubeConfig())
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
