// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store is what a reflector fills, for one run of a mirror.
type store[O client.Object] struct {
	mirror    *Mirror[O]
	logger    klog.Logger
	notServed bool
}

var _ cache.ReflectorStore = (*store[client.Object])(nil)

// Add implements cache.ReflectorStore.
func (s *store[O]) Add(added any) error {
	object, ok := added.(O)
	if !ok {
		return fmt.Errorf("%s is a %T", s.mirror.Kind, added)
	}
	s.mirror.Put(s.logger, object)
	return nil
}

// Update implements cache.ReflectorStore.
func (s *store[O]) Update(updated any) error {
	return s.Add(updated)
}

// Delete implements cache.ReflectorStore.
func (s *store[O]) Delete(last any) error {
	object, ok := last.(O)
	if !ok {
		return fmt.Errorf("%s is a %T", s.mirror.Kind, last)
	}
	s.mirror.Remove(nameOf(object))
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *store[O]) Replace(listed []any, _ string) error {
	gone := map[string]struct{}{}
	for _, name := range s.mirror.Names() {
		gone[name] = struct{}{}
	}
	for _, object := range listed {
		if err := s.Add(object); err != nil {
			return err
		}
		delete(gone, nameOf(object.(O)))
	}
	for name := range gone {
		s.mirror.Remove(name)
	}
	if s.notServed {
		s.notServed = false
		s.logger.Info("Objects are served now")
	}
	s.mirror.served.Store(true)
	s.mirror.synced.Store(true)
	return nil
}

// Resync implements cache.ReflectorStore. There is nothing to do, as nobody behind the store can fall behind.
func (s *store[O]) Resync() error {
	return nil
}

// forget makes the memory what it is where the kind is not served: empty, and in step.
func (s *store[O]) forget() {
	for _, name := range s.mirror.Names() {
		s.mirror.Remove(name)
	}
	if !s.notServed {
		s.notServed = true
		s.logger.Info("Objects are not served; looking for them", "every", PollInterval)
	}
	s.mirror.served.Store(false)
	s.mirror.synced.Store(true)
}

// nameOf is what an object is called where its kind is followed: namespace/name, or the name of one that is cluster-scoped.
func nameOf(object client.Object) string {
	return cache.MetaObjectToName(object).String()
}
