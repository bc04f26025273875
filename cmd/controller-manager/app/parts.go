// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/all"
	"roost.dev/roost/drivers/generic"
	"roost.dev/roost/snapshot"
)

// parts are what the loops share.
type parts struct {
	config   *managerv1alpha1.ControllerManagerConfiguration
	clock    clock.WithTicker
	metrics  prometheus.Registerer
	recorder events.EventRecorder

	// client reads from the API server itself.
	client client.Client
	// customResources lists and watches those that drivers and loops follow.
	customResources client.WithWatch
	informers       informers.SharedInformerFactory
	registry        *drivers.Registry

	// connection is how all loops reach the API server.
	connection *rest.Config
	// snapshots is what the loops of snapshots share, nil before the first of them is made.
	snapshots *snapshot.Options
}

func newParts(manager ctrl.Manager, config *managerv1alpha1.ControllerManagerConfiguration, registerer prometheus.Registerer) (*parts, error) {
	customResources, err := all.NewClient(manager.GetConfig())
	if err != nil {
		return nil, err
	}
	clientset, err := newClientset(manager.GetConfig())
	if err != nil {
		return nil, err
	}
	p := &parts{
		config:          config,
		clock:           clock.RealClock{},
		metrics:         registerer,
		recorder:        manager.GetEventRecorder("roost-" + program),
		client:          manager.GetClient(),
		connection:      manager.GetConfig(),
		customResources: customResources,
		informers:       informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithTransform(trim)),
	}
	return p, p.addDrivers(clientset)
}

func (p *parts) addDrivers(clientset kubernetes.Interface) error {
	driverMetrics := drivers.NewMetrics()
	if err := p.metrics.Register(driverMetrics); err != nil {
		return fmt.Errorf("registering the metrics of drivers: %w", err)
	}
	health, err := genericHealth(&p.config.StorageHealth.Generic)
	if err != nil {
		return err
	}
	health.Leases = clientset.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	p.registry = drivers.NewRegistry(p.clock, driverMetrics)
	return all.Add(p.registry, all.Dependencies{
		Client:        p.customResources,
		Informers:     p.informers,
		Clock:         p.clock,
		GenericHealth: health,
	})
}

// genericHealth is the configuration in the terms of the generic driver.
func genericHealth(config *managerv1alpha1.GenericSignals) (*generic.HealthOptions, error) {
	health := &generic.HealthOptions{
		PluginNotReadyAfter: config.PluginNotReadyAfter.Duration,
		BootGrace:           config.BootGrace.Duration,
		LeaseStaleAfter:     config.LeaseStaleAfter.Duration,
		AttachErrorsAfter:   config.AttachErrorsAfter.Duration,
	}
	for i := range config.NodePlugins {
		plugin := &config.NodePlugins[i]
		selector, err := metav1.LabelSelectorAsSelector(&plugin.Selector)
		if err != nil {
			return nil, fmt.Errorf("reading the selector of the node plugin of %q: %w", plugin.Provisioner, err)
		}
		health.NodePlugins = append(health.NodePlugins, generic.NodePlugin{
			Provisioner: plugin.Provisioner, Namespace: plugin.Namespace, Selector: selector,
		})
	}
	return health, nil
}

// addTo adds the caches, which run in every manager, and the loops, which run in the one that leads.
func (p *parts) addTo(manager ctrl.Manager) error {
	warm := newCaches(p.informers, p.registry)
	for _, l := range loops {
		if !isOn(p.config.Controllers, l.name) {
			continue
		}
		made, err := l.make(p)
		if err != nil {
			return fmt.Errorf("making the loop %q: %w", l.name, err)
		}
		if err := manager.Add(&leading{name: l.name, loop: made, warm: warm}); err != nil {
			return fmt.Errorf("adding the loop %q: %w", l.name, err)
		}
	}
	if err := manager.Add(warm); err != nil {
		return fmt.Errorf("adding the caches: %w", err)
	}
	if p.snapshots != nil {
		if err := manager.Add(p.snapshots.Feed); err != nil {
			return fmt.Errorf("adding what the loops of snapshots follow: %w", err)
		}
	}
	if err := manager.AddReadyzCheck("caches", warm.check); err != nil {
		return fmt.Errorf("adding the check of caches: %w", err)
	}
	if err := manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the check of health: %w", err)
	}
	return nil
}
