// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"roost.dev/roost/snapshot"
	"roost.dev/roost/snapshot/hooks"
)

// ofSnapshots gives a loop of package snapshot what these loops share, made with the first of them that is on.
func ofSnapshots(newLoop func(snapshot.Options) (manager.Runnable, error)) func(*parts) (manager.Runnable, error) {
	return func(p *parts) (manager.Runnable, error) {
		if p.snapshots == nil {
			shared, err := p.makeSnapshots()
			if err != nil {
				return nil, err
			}
			p.snapshots = shared
		}
		return newLoop(*p.snapshots)
	}
}

func (p *parts) makeSnapshots() (*snapshot.Options, error) {
	connection := snapshotConnection(p.connection, &p.config.Snapshots)
	client, err := newSnapshotClient(connection)
	if err != nil {
		return nil, err
	}
	urgentConnection := snapshotConnection(p.connection, &p.config.Snapshots)
	urgent, err := newSnapshotClient(urgentConnection)
	if err != nil {
		return nil, err
	}
	executor, err := hooks.NewExecutor(urgentConnection)
	if err != nil {
		return nil, fmt.Errorf("making what runs commands in pods: %w", err)
	}
	feed, err := snapshot.NewFeed(snapshot.FeedOptions{Client: client, Informers: p.informers, Scheme: client.Scheme(), Clock: p.clock})
	if err != nil {
		return nil, fmt.Errorf("making what the loops of snapshots follow: %w", err)
	}
	metrics := snapshot.NewMetrics(p.clock)
	if err := p.metrics.Register(metrics); err != nil {
		return nil, fmt.Errorf("registering the metrics of snapshots: %w", err)
	}
	return &snapshot.Options{
		Feed: feed, Client: client, Urgent: urgent, Executor: executor, Config: p.config.Snapshots, Recorder: p.recorder, Clock: p.clock, Metrics: metrics,
	}, nil
}
