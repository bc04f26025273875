// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
)

const (
	workers = 4

	// crdPollInterval is how often the publisher looks whether missing CRDs have appeared.
	crdPollInterval = time.Second

	// maxHeartbeat is what StorageReport asks of whoever writes one.
	maxHeartbeat = time.Minute

	retryBase = 100 * time.Millisecond
	retryMax  = 10 * time.Second
)

// Options are what a Publisher needs.
type Options struct {
	Client  client.Client
	Cluster *cluster.Cluster
	Clock   clock.WithTicker
	// Heartbeat is the longest time between two heartbeats of a report.
	Heartbeat time.Duration
}

// Publisher writes the model to the API server.
type Publisher struct {
	client    client.Client
	cluster   *cluster.Cluster
	clock     clock.WithTicker
	heartbeat time.Duration
	queue     workqueue.TypedRateLimitingInterface[cluster.Event]
}

// New returns a publisher that remembers what changes but writes nothing before Run.
func New(o Options) (*Publisher, error) {
	if o.Heartbeat <= 0 || o.Heartbeat > maxHeartbeat {
		return nil, fmt.Errorf("heartbeat: invalid value %s: must be more than 0 and at most %s", o.Heartbeat, maxHeartbeat)
	}
	p := &Publisher{client: o.Client, cluster: o.Cluster, clock: o.Clock, heartbeat: o.Heartbeat}
	p.queue = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[cluster.Event](retryBase, retryMax),
		workqueue.TypedRateLimitingQueueConfig[cluster.Event]{Clock: o.Clock},
	)
	o.Cluster.Subscribe(p.queue.Add)
	return p, nil
}

// Run publishes until ctx ends. The model must know all nodes by now: reports of other nodes are deleted. A Publisher
// runs once.
func (p *Publisher) Run(ctx context.Context) {
	defer p.queue.ShutDown()
	if !p.waitForKinds(ctx) {
		return
	}
	p.queue.Add(cluster.Event{Kind: cluster.PublisherResumed})
	stop := context.AfterFunc(ctx, p.queue.ShutDown)
	defer stop()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for p.next(ctx) {
			}
		})
	}
	running.Wait()
}

// waitForKinds waits until the API server has both kinds, and returns false when ctx ends before.
func (p *Publisher) waitForKinds(ctx context.Context) bool {
	logger, said := klog.FromContext(ctx), false
	for {
		err := p.listKinds(ctx)
		if err == nil {
			logger.Info("Publishing volume topologies and storage reports", "heartbeat", p.heartbeat)
			return true
		}
		if !said {
			said = true
			logger.Info("Cannot publish yet, and go on trying", "crdsMissing", meta.IsNoMatchError(err), "err", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-p.clock.After(crdPollInterval):
		}
	}
}

func (p *Publisher) listKinds(ctx context.Context) error {
	for _, list := range []client.ObjectList{&storagev1alpha1.VolumeTopologyList{}, &storagev1alpha1.StorageReportList{}} {
		if err := p.client.List(ctx, list, client.Limit(1)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Publisher) next(ctx context.Context) bool {
	item, shutdown := p.queue.Get()
	if shutdown {
		return false
	}
	defer p.queue.Done(item)
	if p.cluster.Faults().PublisherSilent {
		p.queue.Forget(item)
		return true
	}
	if err := p.sync(ctx, item); err != nil {
		klog.FromContext(ctx).V(2).Info("Could not publish, and will try again", "kind", item.Kind, "id", item.ID, "err", err)
		p.queue.AddRateLimited(item)
		return true
	}
	p.queue.Forget(item)
	return true
}

func (p *Publisher) sync(ctx context.Context, item cluster.Event) error {
	switch item.Kind {
	case cluster.VolumeChanged:
		return p.syncVolume(ctx, item.ID)
	case cluster.NodeChanged:
		return p.syncNode(ctx, item.ID)
	default:
		return p.resync(ctx)
	}
}
