// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pollInterval is how often a kind that is not served is looked for.
const pollInterval = 5 * time.Second

// mirror follows the objects of one kind.
type mirror[O client.Object] struct {
	kind      string
	client    Client
	clock     clock.Clock
	newObject func() O
	newList   func() client.ObjectList

	// put, remove and names are called one at a time.
	put    func(klog.Logger, O)
	remove func(name string)
	names  func() []string

	synced atomic.Bool
}

// run follows the kind until ctx is done, through its being installed and removed.
func (m *mirror[O]) run(ctx context.Context) {
	logger := klog.FromContext(ctx).WithValues("kind", m.kind)
	ctx = klog.NewContext(ctx, logger)
	store := &store[O]{mirror: m, logger: logger}
	reflector := m.newReflector(logger, store)
	delay := m.backoff()
	for {
		err := reflector.ListAndWatchWithContext(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := pollInterval
		switch {
		case notServed(err):
			store.forget()
		case err != nil:
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
			pause = delay()
		default:
			pause = delay()
		}
		if !m.sleep(ctx, pause) {
			return
		}
	}
}

// sleep is false where ctx ended it.
func (m *mirror[O]) sleep(ctx context.Context, pause time.Duration) bool {
	timer := m.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// backoff is the reflector's own, which it uses only where it runs itself.
func (m *mirror[O]) backoff() wait.DelayFunc {
	return wait.Backoff{Duration: 800 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 6, Cap: 30 * time.Second}.
		DelayWithReset(m.clock, 2*time.Minute)
}

func (m *mirror[O]) newReflector(logger klog.Logger, store cache.ReflectorStore) *cache.Reflector {
	objects := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := m.newList()
			return list, m.client.List(ctx, list, listOptions(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := m.client.Watch(ctx, m.newList(), listOptions(options))
			if err != nil && options.SendInitialEvents != nil {
				// After some errors of a streamed list the reflector sleeps without an eye on ctx. After one that it cannot
				// recognise it makes a plain list instead, which meets the same error.
				return nil, errors.New(err.Error())
			}
			return events, err
		},
	}, m.client)
	return cache.NewReflectorWithOptions(objects, m.newObject(), store, cache.ReflectorOptions{
		Logger: &logger,
		Name:   Name,
		Clock:  m.clock,
	})
}

// listOptions carries limit and continue token twice, because client.ListOptions writes its own into Raw.
func listOptions(options metav1.ListOptions) *client.ListOptions {
	return &client.ListOptions{Raw: &options, Limit: options.Limit, Continue: options.Continue}
}

// notServed says that the API server has no such kind: no CustomResourceDefinition, or not of this version.
func notServed(err error) bool {
	return apierrors.IsNotFound(err) || meta.IsNoMatchError(err)
}
