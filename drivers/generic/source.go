// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"roost.dev/roost/drivers"
)

// Name identifies the driver in messages and metrics.
const Name = "generic"

// Options are what the driver needs.
type Options struct {
	// Informers give PersistentVolumes, Nodes and VolumeAttachments. Their owner starts them, after New.
	Informers informers.SharedInformerFactory
}

// Source is the driver's memory, and what keeps it fresh.
type Source struct {
	persistentVolumes, nodes, attachments cache.SharedIndexInformer

	// follows are those of the current Run, nil outside one.
	follows     atomic.Pointer[[]*follow]
	subscribers []func(drivers.Change)

	// writing serialises the informers' events, and with them the calls of subscribers.
	writing sync.Mutex
	index   *index

	// reading is held for one look-up, or for one write of one location.
	reading   sync.RWMutex
	locations map[drivers.VolumeID]drivers.Location
}

var (
	_ drivers.Source  = (*Source)(nil)
	_ drivers.Locator = (*Source)(nil)
)

// New returns a driver whose memory is empty until Run.
func New(options Options) (*Source, error) {
	if options.Informers == nil {
		return nil, errors.New("informers are missing")
	}
	return &Source{
		persistentVolumes: options.Informers.Core().V1().PersistentVolumes().Informer(),
		nodes:             options.Informers.Core().V1().Nodes().Informer(),
		attachments:       options.Informers.Storage().V1().VolumeAttachments().Informer(),
		index:             newIndex(),
		locations:         map[drivers.VolumeID]drivers.Location{},
	}, nil
}

// Driver is what a registry adds. It names no provisioner, so that it is asked after the drivers that do.
func (s *Source) Driver() drivers.Driver {
	return drivers.Driver{Name: Name, Source: s, Locator: s}
}

// Run implements drivers.Source. It fails where an informer was stopped, as that one never tells anything again.
func (s *Source) Run(ctx context.Context) error {
	follows := []*follow{
		{kind: "Nodes", informer: s.nodes, handler: handler(s.nodeChanged, s.nodeDeleted)},
		{kind: "PersistentVolumes", informer: s.persistentVolumes, handler: handler(s.persistentVolumeChanged, s.persistentVolumeDeleted)},
		{kind: "VolumeAttachments", informer: s.attachments, handler: handler(s.attachmentChanged, s.attachmentDeleted)},
	}
	defer stop(follows)
	if err := start(follows); err != nil {
		return err
	}
	s.follows.Store(&follows)
	defer s.follows.Store(nil)
	<-ctx.Done()
	return nil
}

// HasSynced implements drivers.Source.
func (s *Source) HasSynced() bool {
	follows := s.follows.Load()
	return follows != nil && !slices.ContainsFunc(*follows, func(f *follow) bool { return !f.registration.HasSynced() })
}

// Subscribe implements drivers.Source.
func (s *Source) Subscribe(changed func(drivers.Change)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.subscribers = append(s.subscribers, changed)
}

// Locate implements drivers.Locator.
func (s *Source) Locate(id drivers.VolumeID) (drivers.Location, bool) {
	s.reading.RLock()
	defer s.reading.RUnlock()
	location, ok := s.locations[id]
	return location, ok
}

// publish makes the volume's location what the index says now, and tells subscribers if that changed it. The caller
// holds writing.
func (s *Source) publish(v *volume) {
	before, was := s.Locate(v.id)
	after, is := s.index.locate(v)
	if was == is && equal(before, after) {
		return
	}
	s.reading.Lock()
	if is {
		s.locations[v.id] = after
	} else {
		delete(s.locations, v.id)
	}
	s.reading.Unlock()
	for _, changed := range s.subscribers {
		changed(drivers.Change{Volume: v.id})
	}
}
