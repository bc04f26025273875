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
	"k8s.io/utils/clock"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
)

// Name identifies the driver in messages and metrics.
const Name = "generic"

// Options are what the driver needs.
type Options struct {
	// Informers give PersistentVolumes, Nodes and VolumeAttachments, and with Health Pods and CSINodes. Their owner starts
	// them, after New. Required.
	Informers informers.SharedInformerFactory
	// Health has the driver say how storage is on each node, and prove fencing. Without it the driver does neither.
	Health *HealthOptions
	// Client reads NetworkFences from the API server. Clock is the time. Both are required with Health.
	Client mirror.Client
	Clock  clock.Clock
}

// Source is the driver's memory, and what keeps it fresh.
type Source struct {
	persistentVolumes, nodes, attachments cache.SharedIndexInformer
	// pods and csiNodes are nil without health.
	pods, csiNodes cache.SharedIndexInformer

	// running is nil outside Run.
	running     atomic.Pointer[run]
	subscribers []func(drivers.Change)

	// writing serialises the informers' events, and with them the calls of subscribers.
	writing sync.Mutex
	index   *index
	// health is nil where it was not asked for, and fences with it.
	health *health
	fences *fences

	// reading is held for one look-up, or for one write of one location.
	reading   sync.RWMutex
	locations map[drivers.VolumeID]drivers.Location
	reports   map[part]drivers.NodeReport
}

var (
	_ drivers.Source         = (*Source)(nil)
	_ drivers.Locator        = (*Source)(nil)
	_ drivers.HealthReporter = (*Source)(nil)
	_ drivers.Fencer         = (*Source)(nil)
)

// run is one call of Run.
type run struct {
	follows []*follow
	// synced is kept once it is true: look-ups ask for it.
	synced atomic.Bool
}

// New returns a driver whose memory is empty until Run.
func New(options Options) (*Source, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	s := &Source{
		persistentVolumes: options.Informers.Core().V1().PersistentVolumes().Informer(),
		nodes:             options.Informers.Core().V1().Nodes().Informer(),
		attachments:       options.Informers.Storage().V1().VolumeAttachments().Informer(),
		index:             newIndex(),
		locations:         map[drivers.VolumeID]drivers.Location{},
	}
	if options.Health != nil {
		s.pods = options.Informers.Core().V1().Pods().Informer()
		s.csiNodes = options.Informers.Storage().V1().CSINodes().Informer()
		s.health = newHealth(*options.Health, options.Clock)
		s.reports = map[part]drivers.NodeReport{}
		s.fences = newFences(options.Client, options.Clock)
	}
	return s, nil
}

func (o *Options) check() error {
	var errs []error
	if o.Informers == nil {
		errs = append(errs, errors.New("informers are missing"))
	}
	if o.Health == nil {
		return errors.Join(errs...)
	}
	if o.Client == nil {
		errs = append(errs, errors.New("client is missing"))
	}
	if o.Clock == nil {
		errs = append(errs, errors.New("clock is missing"))
	}
	return errors.Join(append(errs, o.Health.check())...)
}

// Driver is what a registry adds. It names no provisioner, so that it is asked after the drivers that do.
func (s *Source) Driver() drivers.Driver {
	driver := drivers.Driver{Name: Name, Source: s, Locator: s}
	if s.health != nil {
		driver.Health, driver.Fencer = s, s
	}
	return driver
}

// Run implements drivers.Source. It fails where an informer was stopped, as that one never tells anything again.
func (s *Source) Run(ctx context.Context) error {
	follows := []*follow{
		{kind: "Nodes", informer: s.nodes, handler: handler(s.nodeChanged, s.nodeDeleted)},
		{kind: "PersistentVolumes", informer: s.persistentVolumes, handler: handler(s.persistentVolumeChanged, s.persistentVolumeDeleted)},
		{kind: "VolumeAttachments", informer: s.attachments, handler: handler(s.attachmentChanged, s.attachmentDeleted)},
	}
	if s.health != nil {
		follows = append(follows,
			&follow{kind: "CSINodes", informer: s.csiNodes, handler: handler(s.csiNodeChanged, s.csiNodeDeleted)},
			&follow{kind: "Pods", informer: s.pods, handler: handler(s.podChanged, s.podDeleted)})
	}
	defer stop(follows)
	if err := start(follows); err != nil {
		return err
	}
	s.running.Store(&run{follows: follows})
	defer s.running.Store(nil)
	if s.health != nil {
		s.runHealth(ctx)
	}
	<-ctx.Done()
	return nil
}

// runHealth does what no informer's event brings about, until ctx is done.
func (s *Source) runHealth(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { s.judgePending(ctx) })
	group.Go(func() { s.readLeases(ctx) })
	group.Go(func() { s.fences.run(ctx) })
	group.Wait()
}

// HasSynced implements drivers.Source.
func (s *Source) HasSynced() bool {
	running := s.running.Load()
	switch {
	case running == nil:
		return false
	case running.synced.Load():
		return true
	case s.fences != nil && !s.fences.hasSynced():
		return false
	case slices.ContainsFunc(running.follows, func(f *follow) bool { return !f.registration.HasSynced() }):
		return false
	default:
		running.synced.Store(true)
		return true
	}
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

// Fenced implements drivers.Fencer. Before everything is known there is no proof: what is not known yet may speak against it.
func (s *Source) Fenced(id drivers.VolumeID, node string) (drivers.Fence, bool) {
	if !s.HasSynced() {
		return drivers.Fence{}, false
	}
	return s.fences.prove(id, node)
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
	s.tell(drivers.Change{Volume: v.id})
}

// tell calls subscribers. The caller holds writing.
func (s *Source) tell(change drivers.Change) {
	for _, changed := range s.subscribers {
		changed(change)
	}
}
