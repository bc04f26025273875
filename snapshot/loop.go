// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// The pauses between two tries of an object whose look after failed.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 30 * time.Second
)

// loop is a reconciler with what wakes it.
type loop struct {
	name       string
	feed       *Feed
	reconciler reconcile.Reconciler
	workers    int
	sources    []source.Source
}

var _ manager.Runnable = (*loop)(nil)

// Start implements controller-runtime's Runnable. It looks after all objects of its kind until ctx is done, and returns when
// no worker runs any more.
func (l *loop) Start(ctx context.Context) error {
	if !l.feed.WaitForSync(ctx) {
		return nil
	}
	made, err := controller.NewUnmanaged(l.name, controller.Options{
		Reconciler:              l.reconciler,
		MaxConcurrentReconciles: l.workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryLast),
		// One that led, stopped and leads again in the same process is the same loop.
		SkipNameValidation: new(true),
		Logger:             klog.FromContext(ctx),
	})
	if err != nil {
		return fmt.Errorf("making the controller %q: %w", l.name, err)
	}
	for _, wakes := range l.sources {
		if err := made.Watch(wakes); err != nil {
			return fmt.Errorf("watching for the controller %q: %w", l.name, err)
		}
	}
	return made.Start(ctx)
}
