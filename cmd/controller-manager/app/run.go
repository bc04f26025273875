// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

// waitForLoops has a manager that stops wait for its loops for as long as they take. Whoever stops it decides when that is
// too long: the Lease is then not given away but runs out.
const waitForLoops time.Duration = -1

// run runs the controller manager until ctx is done or it loses the Lease.
func run(ctx context.Context, config *managerv1alpha1.ControllerManagerConfiguration) error {
	manager, err := newManager(ctx, config, metrics.Registry)
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Starting", "version", versionText(), "controllers", config.Controllers, "failover", config.StorageHealth.Failover.Mode)
	return manager.Start(ctx)
}

// newManager returns a manager with all that runs in it.
func newManager(ctx context.Context, config *managerv1alpha1.ControllerManagerConfiguration, registerer prometheus.Registerer) (ctrl.Manager, error) {
	connection, err := newConnection(&config.ClientConnection)
	if err != nil {
		return nil, err
	}
	kinds, err := newScheme()
	if err != nil {
		return nil, err
	}
	manager, err := ctrl.NewManager(connection, managerOptions(ctx, config, connection, kinds))
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	parts, err := newParts(manager, config, registerer)
	if err != nil {
		return nil, err
	}
	return manager, parts.addTo(manager)
}

func managerOptions(ctx context.Context, config *managerv1alpha1.ControllerManagerConfiguration, connection *rest.Config, kinds *runtime.Scheme) ctrl.Options {
	timeout, election := waitForLoops, &config.LeaderElection
	return ctrl.Options{
		Scheme:         kinds,
		Logger:         klog.FromContext(ctx),
		BaseContext:    func() context.Context { return ctx },
		MapperProvider: newMapper,
		NewClient:      newDirectClient,

		LeaderElection:                *election.LeaderElect,
		LeaderElectionNamespace:       election.ResourceNamespace,
		LeaderElectionID:              election.ResourceName,
		LeaderElectionConfig:          electionConnection(connection),
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &election.LeaseDuration.Duration,
		RenewDeadline:                 &election.RenewDeadline.Duration,
		RetryPeriod:                   &election.RetryPeriod.Duration,
		GracefulShutdownTimeout:       &timeout,

		HealthProbeBindAddress: config.Health.BindAddress,
		PprofBindAddress:       config.Profiling.BindAddress,
		Metrics:                metricsOptions(&config.Metrics),
	}
}

func metricsOptions(config *managerv1alpha1.Metrics) metricsserver.Options {
	served := metricsserver.Options{BindAddress: config.BindAddress, SecureServing: *config.Secure}
	if *config.Secure {
		served.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return served
}
