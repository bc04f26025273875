// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/test/simstorage/cluster"
)

// alone causes the same faults under the stock scheduler, with our controller manager stopped. Both kinds at once: most of
// what there is to see is waiting.
func (b *bench) alone(ctx context.Context) ([]Result, error) {
	b.heading("Kubernetes alone: %d pods under the stock scheduler, watched for %s", stockPods, b.opts.AloneFor)
	pods, err := b.deploy(ctx, stockNamespace, sandbox.StockSchedulerName, stockPods)
	if err != nil {
		return nil, err
	}
	if err := b.settle(ctx, pods); err != nil {
		return nil, err
	}
	b.box.Manager.Stop()
	scenarios := []scenario{
		{name: "Kubernetes alone: storage offline, node alive", fault: offline{b}},
		{name: "Kubernetes alone: node dead, all its volumes fenced", fault: dead{b}},
	}
	results := make([]Result, len(scenarios))
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range scenarios {
		s.pods, s.draws, s.inFlight = pods, b.draws(b.opts.Alone), b.opts.Alone
		s.fencing, s.watched = cluster.FencingAutomatic, b.opts.AloneFor
		group.Go(func() error {
			var err error
			results[i], err = b.play(ctx, s)
			return err
		})
	}
	watching, stop := context.WithCancel(ctx)
	go b.tellTime(watching)
	err = group.Wait()
	stop()
	return results, err
}

// tellTime says once a minute how long Kubernetes alone has been watched.
func (b *bench) tellTime(ctx context.Context) {
	start := b.clock.Now()
	_ = wait.PollUntilContextCancel(ctx, time.Minute, false, func(context.Context) (bool, error) {
		b.progress("%.0f of %.0f minutes", b.clock.Since(start).Minutes(), b.opts.AloneFor.Minutes())
		return false, nil
	})
}
