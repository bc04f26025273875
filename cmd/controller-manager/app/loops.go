// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"roost.dev/roost/snapshot"
	"roost.dev/roost/storagehealth"
)

// loop is something that runs in the manager that leads. Its name is what controllers in the configuration calls it. make
// adds what it needs to the informers, and starts nothing.
type loop struct {
	name string
	make func(*parts) (manager.Runnable, error)
}

// loops are all that there are.
var loops = []loop{
	{name: "storagehealth", make: makeStorageHealth},
	{name: "snapshots", make: ofSnapshots(snapshot.NewTaking)},
	{name: "snapshotschedules", make: ofSnapshots(snapshot.NewSchedules)},
	{name: "snapshotrestores", make: ofSnapshots(snapshot.NewRestores)},
	{name: "snapshotorphans", make: ofSnapshots(snapshot.NewOrphans)},
}

func loopNames() []string {
	var names []string
	for _, l := range loops {
		names = append(names, l.name)
	}
	return names
}

// isOn says whether a loop runs: what names it counts before "*".
func isOn(controllers []string, name string) bool {
	switch {
	case slices.Contains(controllers, name):
		return true
	case slices.Contains(controllers, "-"+name):
		return false
	default:
		return slices.Contains(controllers, "*")
	}
}

// validateTogether refuses a loop without the one that it waits for: a restore in place would stop an application and wait for
// a snapshot that nobody takes.
func validateTogether(controllers []string) field.ErrorList {
	const taking = "snapshots"
	var errs field.ErrorList
	for _, needs := range []string{"snapshotschedules", "snapshotrestores"} {
		if isOn(controllers, needs) && !isOn(controllers, taking) {
			errs = append(errs, field.Invalid(field.NewPath("controllers"), controllers,
				fmt.Sprintf("%s must not run without %s, which takes what it asks for", needs, taking)))
		}
	}
	return errs
}

func makeStorageHealth(p *parts) (manager.Runnable, error) {
	metrics := storagehealth.NewMetrics()
	if err := p.metrics.Register(metrics); err != nil {
		return nil, fmt.Errorf("registering its metrics: %w", err)
	}
	return storagehealth.New(storagehealth.Options{
		Client:       p.client,
		StorageNodes: p.customResources,
		Informers:    p.informers,
		Registry:     p.registry,
		Config:       p.config.StorageHealth,
		Recorder:     p.recorder,
		Clock:        p.clock,
		Metrics:      metrics,
	})
}

// leading runs a loop while this manager leads, from when the caches are warm.
type leading struct {
	name string
	loop manager.Runnable
	warm *caches
}

var _ manager.LeaderElectionRunnable = (*leading)(nil)

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (l *leading) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (l *leading) Start(ctx context.Context) error {
	if !l.warm.wait(ctx) {
		return nil
	}
	logger := klog.FromContext(ctx)
	logger.Info("Starting the loop", "loop", l.name)
	err := l.loop.Start(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("running the loop %q: %w", l.name, err)
	case ctx.Err() == nil:
		return fmt.Errorf("the loop %q ended although nobody stopped it", l.name)
	default:
		logger.Info("The loop has ended", "loop", l.name)
		return nil
	}
}
