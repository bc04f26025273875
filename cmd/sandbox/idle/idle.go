// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
)

const (
	// leaseNamespace and leaseName are those of the shipped configuration.
	leaseNamespace = "roost-system"
	leaseName      = "roost-controller-manager"

	// restFor is how long the manager must write nothing to have come to rest.
	restFor = 20 * time.Second
	// patience is how long something may take that usually takes a few minutes.
	patience = 20 * time.Minute
)

// Without are the parts of the sandbox that have nothing to do here. Our controller manager is started when all objects are
// there, as after an update.
func Without() sets.Set[sandbox.Component] {
	return sets.New(sandbox.StockScheduler, sandbox.RoostScheduler, sandbox.Sidecars, sandbox.RoostManager)
}

// bench is a benchmark that runs.
type bench struct {
	opts   Options
	box    *sandbox.Sandbox
	screen *console.Console
	clock  clock.Clock
}

// Run measures. An error is that something could not be measured, and there is no report then.
func Run(ctx context.Context, box *sandbox.Sandbox, screen *console.Console, opts Options) (*Report, error) {
	b := &bench{opts: opts, box: box, screen: screen, clock: clock.RealClock{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-box.Failed():
			cancel()
		case <-ctx.Done():
		}
	}()
	report, err := b.measure(ctx)
	if failure := box.Err(); failure != nil {
		return nil, failure
	}
	return report, err
}

func (b *bench) measure(ctx context.Context) (*Report, error) {
	b.screen.Heading("Filling the cluster")
	if err := b.step("objects", func() error { return b.fill(ctx) }); err != nil {
		return nil, err
	}
	if err := b.step("claims are bound, pods run", func() error { return b.settle(ctx) }); err != nil {
		return nil, err
	}
	b.screen.Heading("The controller manager")
	var manager *sandbox.Manager
	err := b.step("started", func() (err error) {
		manager, err = b.box.StartManager(ctx, sandbox.ManagerOptions{LeaderElection: true})
		return err
	})
	if err != nil {
		return nil, err
	}
	leases, err := b.box.Client.Watch(ctx, &coordinationv1.LeaseList{}, client.InNamespace(leaseNamespace),
		client.MatchingFields{"metadata.name": leaseName})
	if err != nil {
		return nil, fmt.Errorf("watching the manager's Lease: %w", err)
	}
	defer leases.Stop()
	return b.watch(ctx, newMeter(manager.MetricsURL(), leases, b.clock))
}

// watch waits until the manager has come to rest, and then measures.
func (b *bench) watch(ctx context.Context, m *meter) (*Report, error) {
	var first reading
	err := b.step("has come to rest", func() (err error) {
		first, err = b.rest(ctx, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	b.screen.Progress("watching it for %s", b.opts.For)
	if err := pause(ctx, b.clock, b.opts.For); err != nil {
		return nil, err
	}
	last, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	b.screen.Step("watched", last.at.Sub(first.at))
	return newReport(b.opts, first, last, m.highest), nil
}

// rest waits until every node has its verdict and nothing has been written for a while, but for the Lease.
func (b *bench) rest(ctx context.Context, m *meter) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var since, now reading
	for {
		next, err := m.read(ctx)
		if err != nil {
			return now, fmt.Errorf("waiting for the controller manager to come to rest, with %d of %d StorageNodes: %w", now.storageNodes, b.opts.Nodes, err)
		}
		now = next
		b.screen.Progress("%d of %d StorageNodes, %d writes", now.storageNodes, b.opts.Nodes, now.writes())
		if since.at.IsZero() || now.storageNodes != b.opts.Nodes || now.writes() != since.writes() {
			since = now
		}
		if now.at.Sub(since.at) >= restFor {
			return now, nil
		}
	}
}

// step does something and tells how long it took.
func (b *bench) step(name string, do func() error) error {
	started := b.clock.Now()
	if err := do(); err != nil {
		return err
	}
	b.screen.Step(name, b.clock.Since(started))
	return nil
}

func pause(ctx context.Context, c clock.Clock, d time.Duration) error {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}
