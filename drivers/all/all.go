// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"fmt"

	"k8s.io/client-go/informers"
	"k8s.io/utils/clock"

	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/generic"
	"roost.dev/roost/drivers/published"
)

// Dependencies are what the drivers need. All but GenericHealth are required.
type Dependencies struct {
	// Client reads custom resources from the API server: VolumeTopology and StorageReport objects, and with GenericHealth
	// NetworkFences.
	Client published.Client
	// Informers give Kubernetes' own objects. Their owner starts them, after Add.
	Informers informers.SharedInformerFactory
	Clock     clock.Clock
	// GenericHealth has the generic driver tell of the nodes' storage and prove fencing. A scheduler has none: it reads
	// what the controller manager concluded from it.
	GenericHealth *generic.HealthOptions
}

// Add adds every driver to the registry.
func Add(registry *drivers.Registry, dependencies Dependencies) error {
	publishedSource, err := published.New(published.Options{Client: dependencies.Client, Clock: dependencies.Clock})
	if err != nil {
		return fmt.Errorf("making driver %q: %w", published.Name, err)
	}
	genericSource, err := generic.New(generic.Options{
		Informers: dependencies.Informers, Health: dependencies.GenericHealth, Client: dependencies.Client, Clock: dependencies.Clock,
	})
	if err != nil {
		return fmt.Errorf("making driver %q: %w", generic.Name, err)
	}
	for _, driver := range []drivers.Driver{publishedSource.Driver(), genericSource.Driver()} {
		if err := registry.Add(driver); err != nil {
			return err
		}
	}
	return nil
}
