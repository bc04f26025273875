// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"sync"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/memory"
	"roost.dev/roost/internal/mirror"
)

// kindFeed keeps the objects of one custom resource, and tells listeners of each that comes, changes or goes.
type kindFeed[O client.Object] struct {
	empty   O
	mirror  *mirror.Mirror[O]
	indexer cache.Indexer

	mu        sync.Mutex
	listeners map[int]func(O)
	next      int
}

func newKindFeed[O client.Object](kind string, o FeedOptions, newObject func() O, newList func() client.ObjectList) *kindFeed[O] {
	k := &kindFeed[O]{
		empty:     newObject(),
		indexer:   cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		listeners: map[int]func(O){},
	}
	k.mirror = mirror.New(mirror.Options[O]{
		Kind: kind, Client: o.Client, Clock: o.Clock, NewObject: newObject, NewList: newList,
		Put: k.put, Remove: k.remove, Names: k.indexer.ListKeys,
	})
	return k
}

func (k *kindFeed[O]) follow(reader *memory.Reader) error {
	return reader.Follow(k.empty, memory.Kind{Indexer: k.indexer, Served: k.mirror.Served})
}

func (k *kindFeed[O]) put(logger klog.Logger, object O) {
	object.SetManagedFields(nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	last, known, err := k.indexer.Get(object)
	if err == nil {
		err = k.indexer.Update(object)
	}
	if err != nil {
		logger.Error(err, "An object was not understood", "object", klog.KObj(object))
		return
	}
	if known && last.(O).GetResourceVersion() == object.GetResourceVersion() {
		return
	}
	k.tell(object)
}

func (k *kindFeed[O]) remove(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last, known, err := k.indexer.GetByKey(name)
	if err != nil || !known {
		return
	}
	if err := k.indexer.Delete(last); err != nil {
		return
	}
	k.tell(last.(O))
}

func (k *kindFeed[O]) tell(object O) {
	for _, listener := range k.listeners {
		listener(object)
	}
}

// listen tells listener of every object that there is, and of each that comes, changes or goes, until stop. A listener must
// not wait, and not change what it is given.
func (k *kindFeed[O]) listen(listener func(O)) (stop func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := k.next
	k.next++
	k.listeners[id] = listener
	for _, object := range k.indexer.List() {
		listener(object.(O))
	}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.listeners, id)
	}
}

// in are the objects of a namespace, or with "" of all. They are the feed's own and must not be changed.
func (k *kindFeed[O]) in(namespace string) []O {
	objects := k.indexer.List()
	if namespace != "" {
		// The index exists: newKindFeed made it.
		objects, _ = k.indexer.ByIndex(cache.NamespaceIndex, namespace)
	}
	found := make([]O, 0, len(objects))
	for _, object := range objects {
		found = append(found, object.(O))
	}
	return found
}
