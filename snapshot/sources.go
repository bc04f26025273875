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

// listened is a source of the objects of a custom resource. whom says which objects of the loop an object concerns.
func listened[O client.Object](kind *kindFeed[O], whom func(O) []types.NamespacedName) source.Source {
	return source.Func(func(ctx context.Context, woken queue) error {
		stop := kind.listen(func(object O) {
			for _, name := range whom(object) {
				woken.Add(reconcile.Request{NamespacedName: name})
			}
		})
		context.AfterFunc(ctx, stop)
		return nil
	})
}

// frozenFirst is a source of the ApplicationSnapshots. One whose journal says that something is frozen is looked at before all
// that wait, as when a manager begins that finds thousands of them.
func frozenFirst(kind *kindFeed[*snapshotv1alpha1.ApplicationSnapshot]) source.Source {
	return source.Func(func(ctx context.Context, woken queue) error {
		stop := kind.listen(func(object *snapshotv1alpha1.ApplicationSnapshot) {
			request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)}
			byPriority, ok := woken.(priorityqueue.PriorityQueue[reconcile.Request])
			if ok && hooks.NeedsThaw(&object.Status) {
				byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: new(1)}, request)
				return
			}
			woken.Add(request)
		})
		context.AfterFunc(ctx, stop)
		return nil
	})
}

// listenedFirst is listened, for objects whose news end what has begun.
func listenedFirst[O client.Object](kind *kindFeed[O], whom func(O) []types.NamespacedName) source.Source {
	return source.Func(func(ctx context.Context, woken queue) error {
		stop := kind.listen(func(object O) {
			for _, name := range whom(object) {
				addFirst(woken, name)
			}
		})
		context.AfterFunc(ctx, stop)
		return nil
	})
}

// addFirst has an object looked at before all that was added otherwise. When thousands begin at once, those whose turn it is
// do not hold their places while the others are looked at for the first time.
func addFirst(woken queue, name types.NamespacedName) {
	request := reconcile.Request{NamespacedName: name}
	if ordered, ok := woken.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		ordered.AddWithOpts(priorityqueue.AddOpts{Priority: new(1)}, request)
		return
	}
	woken.Add(request)
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
					woken.Add(reconcile.Request{NamespacedName: name})
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
		addFirst(w.woken, name)
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
