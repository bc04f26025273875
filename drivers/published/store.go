// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"fmt"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store is what a reflector fills, for one run of a mirror.
type store[O client.Object] struct {
	mirror    *mirror[O]
	logger    klog.Logger
	notServed bool
}

var _ cache.ReflectorStore = (*store[client.Object])(nil)

// Add implements cache.ReflectorStore.
func (s *store[O]) Add(added any) error {
	object, ok := added.(O)
	if !ok {
		return fmt.Errorf("%s is a %T", s.mirror.kind, added)
	}
	s.mirror.put(s.logger, object)
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
		return fmt.Errorf("%s is a %T", s.mirror.kind, last)
	}
	s.mirror.remove(object.GetName())
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *store[O]) Replace(listed []any, _ string) error {
	gone := map[string]struct{}{}
	for _, name := range s.mirror.names() {
		gone[name] = struct{}{}
	}
	for _, object := range listed {
		if err := s.Add(object); err != nil {
			return err
		}
		delete(gone, object.(O).GetName())
	}
	for name := range gone {
		s.mirror.remove(name)
	}
	if s.notServed {
		s.notServed = false
		s.logger.Info("Published objects are served now")
	}
	s.mirror.synced.Store(true)
	return nil
}

// Resync implements cache.ReflectorStore. There is nothing to do, as nobody behind the store can fall behind.
func (s *store[O]) Resync() error {
	return nil
}

// forget makes the memory what it is where the kind is not served: empty, and in step.
func (s *store[O]) forget() {
	for _, name := range s.mirror.names() {
		s.mirror.remove(name)
	}
	if !s.notServed {
		s.notServed = true
		s.logger.Info("Published objects are not served; looking for them", "every", pollInterval)
	}
	s.mirror.synced.Store(true)
}
