// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/hooks"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// How soon a loop looks at an object, before all that have less.
const (
	ordinary = iota
	// begun is for news that end what has begun: who waits until thousands were looked at for the first time holds his place
	// for as long.
	begun
	// frozen is for an application that stands still, as where a manager begins that finds one among thousands of snapshots.
	frozen
)

// listened is a source of the objects of a custom resource. whom says which objects of the loop an object concerns.
func listened[O client.Object](kind *kindFeed[O], whom func(O) []types.NamespacedName) source.Source {
	return listenedBy(kind, whom, func(O) int { return ordinary })
}

// listenedBy is listened, with how soon the objects are looked at.
func listenedBy[O client.Object](kind *kindFeed[O], whom func(O) []types.NamespacedName, urgency func(O) int) source.Source {
	return source.Func(func(ctx context.Context, woken queue) error {
		stop := kind.listen(func(object O) {
			for _, name := range whom(object) {
				add(woken, name, urgency(object))
			}
		})
		context.AfterFunc(ctx, stop)
		return nil
	})
}

func add(woken queue, name types.NamespacedName, urgency int) {
	request := reconcile.Request{NamespacedName: name}
	if ordered, ok := woken.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		ordered.AddWithOpts(priorityqueue.AddOpts{Priority: &urgency}, request)
		return
	}
	woken.Add(request)
}

// ofSnapshot is the urgency of an ApplicationSnapshot.
func ofSnapshot(snapshot *snapshotv1alpha1.ApplicationSnapshot) int {
	if hooks.NeedsThaw(&snapshot.Status) {
		return frozen
	}
	return ordinary
}

// itself is whom for the objects that a loop looks after.
func itself[O client.Object](object O) []types.NamespacedName {
	return []types.NamespacedName{client.ObjectKeyFromObject(object)}
}

// informed is a source of the objects of an informer.
func informed[O client.Object](informer cache.SharedIndexInformer, whom func(O) []types.NamespacedName) source.Source {
	return source.Func(func(ctx context.Context, woken queue) error {
		tell := func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if known, ok := object.(O); ok {
				for _, name := range whom(known) {
					add(woken, name, ordinary)
				}
			}
		}
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: tell, UpdateFunc: func(_, object any) { tell(object) }, DeleteFunc: tell,
		})
		if err != nil {
			return fmt.Errorf("listening to an informer: %w", err)
		}
		context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(registration) })
		return nil
	})
}

// waker is a source that is told by whoever lets objects wait.
type waker struct {
	mu    sync.Mutex
	woken queue
}

// wake has the loop look at an object again. Before the loop runs there is nothing to wake: it looks at all when it starts.
func (w *waker) wake(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.woken != nil {
		add(w.woken, name, begun)
	}
}

// source is to be given to the one loop.
func (w *waker) source() source.Source {
	return source.Func(func(_ context.Context, woken queue) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.woken = woken
		return nil
	})
}
