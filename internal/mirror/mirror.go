// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

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

// PollInterval is how often a kind that is not served is looked for.
const PollInterval = 5 * time.Second

// Client lists and watches, as a controller-runtime client.WithWatch does. It reads the API server, not a cache.
type Client interface {
	List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error
	Watch(ctx context.Context, list client.ObjectList, options ...client.ListOption) (watch.Interface, error)
}

// Options are the kind to follow, and who hears of its objects. All are required.
type Options[O client.Object] struct {
	// Kind names the kind in logs.
	Kind   string
	Client Client
	Clock  clock.Clock
	// NewObject and NewList return empty ones, with kind and version where they are unstructured.
	NewObject func() O
	NewList   func() client.ObjectList

	// Put has an object that is new or different, Remove the name of one that is gone; a name may be removed that was
	// never put. Names are those that were put and not removed. They are called one at a time. The name of a namespaced
	// object is namespace/name.
	Put    func(klog.Logger, O)
	Remove func(name string)
	Names  func() []string
}

// Mirror follows the objects of one kind.
type Mirror[O client.Object] struct {
	Options[O]

	synced atomic.Bool
	served atomic.Bool
}

// New returns a mirror that follows nothing until Run.
func New[O client.Object](options Options[O]) *Mirror[O] {
	return &Mirror[O]{Options: options}
}

// HasSynced says that everything that existed when Run began has been put. A kind that is not served has synced with
// nothing; one that the API server refuses to list has not.
func (m *Mirror[O]) HasSynced() bool {
	return m.synced.Load()
}

// Served says that the API server had the kind when it was last asked.
func (m *Mirror[O]) Served() bool {
	return m.served.Load()
}

// Run follows the kind until ctx is done, through its being installed and removed.
func (m *Mirror[O]) Run(ctx context.Context) {
	logger := klog.FromContext(ctx).WithValues("kind", m.Kind)
	ctx = klog.NewContext(ctx, logger)
	store := &store[O]{mirror: m, logger: logger}
	reflector := m.newReflector(logger, store)
	delay := m.backoff()
	for {
		err := reflector.ListAndWatchWithContext(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := PollInterval
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
func (m *Mirror[O]) sleep(ctx context.Context, pause time.Duration) bool {
	timer := m.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// backoff is the reflector's own, which it uses only where it runs itself.
func (m *Mirror[O]) backoff() wait.DelayFunc {
	return wait.Backoff{Duration: 800 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 6, Cap: 30 * time.Second}.
		DelayWithReset(m.Clock, 2*time.Minute)
}

func (m *Mirror[O]) newReflector(logger klog.Logger, store cache.ReflectorStore) *cache.Reflector {
	objects := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := m.NewList()
			return list, m.Client.List(ctx, list, listOptions(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := m.Client.Watch(ctx, m.NewList(), listOptions(options))
			if err != nil && options.SendInitialEvents != nil {
				// After some errors of a streamed list the reflector sleeps without an eye on ctx. After one that it cannot
				// recognise it makes a plain list instead, which meets the same error.
				return nil, errors.New(err.Error())
			}
			return events, err
		},
	}, m.Client)
	return cache.NewReflectorWithOptions(objects, m.NewObject(), store, cache.ReflectorOptions{
		Logger: &logger,
		Name:   m.Kind,
		Clock:  m.Clock,
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
