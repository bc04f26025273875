// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
)

const (
	// Name identifies the driver in messages and metrics.
	Name = "published"

	// MaxAge is twice the longest time that the API allows between two heartbeats.
	MaxAge = 2 * time.Minute
)

// neverConfirmed is the age of what no StorageReport has confirmed: older than any MaxAge, and not zero, which would be
// for what cannot age.
var neverConfirmed = time.Unix(0, 0)

// Client lists and watches, as a controller-runtime client.WithWatch does. It knows the kinds of apis/storage/v1alpha1,
// and reads the API server, not a cache.
type Client = mirror.Client

// Options are what the driver needs. All are required.
type Options struct {
	Client Client
	Clock  clock.Clock
}

// Source is the driver's memory, and what keeps it fresh.
type Source struct {
	clock       clock.Clock
	topologies  *mirror.Mirror[*storagev1alpha1.VolumeTopology]
	reports     *mirror.Mirror[*storagev1alpha1.StorageReport]
	subscribers []func(drivers.Change)

	// writing serialises the updates of both kinds, and with them the calls of subscribers.
	writing sync.Mutex

	// reading is held for a look-up, or for the update of one object.
	reading sync.RWMutex
	volumes index[drivers.VolumeID, topology]
	nodes   index[storageNode, report]
	// newest is when the provisioner last confirmed anything.
	newest map[string]time.Time
}

var (
	_ drivers.Source         = (*Source)(nil)
	_ drivers.Locator        = (*Source)(nil)
	_ drivers.HealthReporter = (*Source)(nil)
	_ drivers.Fencer         = (*Source)(nil)
)

// New returns a driver whose memory is empty until Run.
func New(options Options) (*Source, error) {
	var errs []error
	if options.Client == nil {
		errs = append(errs, errors.New("client is missing"))
	}
	if options.Clock == nil {
		errs = append(errs, errors.New("clock is missing"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s := &Source{
		clock:   options.Clock,
		volumes: newIndex[drivers.VolumeID, topology](),
		nodes:   newIndex[storageNode, report](),
		newest:  map[string]time.Time{},
	}
	s.topologies = mirror.New(mirror.Options[*storagev1alpha1.VolumeTopology]{
		Kind: "VolumeTopology", Client: options.Client, Clock: options.Clock,
		NewObject: func() *storagev1alpha1.VolumeTopology { return &storagev1alpha1.VolumeTopology{} },
		NewList:   func() client.ObjectList { return &storagev1alpha1.VolumeTopologyList{} },
		Put:       s.putTopology, Remove: s.removeTopology, Names: s.volumes.names,
	})
	s.reports = mirror.New(mirror.Options[*storagev1alpha1.StorageReport]{
		Kind: "StorageReport", Client: options.Client, Clock: options.Clock,
		NewObject: func() *storagev1alpha1.StorageReport { return &storagev1alpha1.StorageReport{} },
		NewList:   func() client.ObjectList { return &storagev1alpha1.StorageReportList{} },
		Put:       s.putReport, Remove: s.removeReport, Names: s.nodes.names,
	})
	return s, nil
}

// Driver is what a registry adds. It names no provisioner, so that it is asked after the drivers that do.
func (s *Source) Driver() drivers.Driver {
	return drivers.Driver{Name: Name, LocatesAll: true, MaxAge: MaxAge, Source: s, Locator: s, Health: s, Fencer: s}
}

// Run implements drivers.Source. It never fails.
func (s *Source) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { s.topologies.Run(ctx) })
	group.Go(func() { s.reports.Run(ctx) })
	group.Wait()
	return nil
}

// HasSynced implements drivers.Source.
func (s *Source) HasSynced() bool {
	return s.topologies.HasSynced() && s.reports.HasSynced()
}

// Subscribe implements drivers.Source. A node's storage has also changed where its heartbeats come again after they were
// missing for MaxAge.
func (s *Source) Subscribe(changed func(drivers.Change)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.subscribers = append(s.subscribers, changed)
}

func (s *Source) tell(change drivers.Change) {
	for _, changed := range s.subscribers {
		changed(change)
	}
}

// Locate implements drivers.Locator. A VolumeTopology without replicas answers for its volume too: nothing has its data.
func (s *Source) Locate(id drivers.VolumeID) (drivers.Location, bool) {
	s.reading.RLock()
	defer s.reading.RUnlock()
	published := s.volumes.byKey[id]
	if published == nil {
		return drivers.Location{}, false
	}
	return drivers.Location{
		Replicas:   published.value.replicas,
		AttachedTo: published.value.attachedTo,
		ObservedAt: s.confirmed(id.Provisioner),
	}, true
}

// Fenced implements drivers.Fencer. The proof is as old as the newest heartbeat of the provisioner, like a location.
func (s *Source) Fenced(id drivers.VolumeID, node string) (drivers.Fence, bool) {
	s.reading.RLock()
	defer s.reading.RUnlock()
	published := s.volumes.byKey[id]
	if published == nil {
		return drivers.Fence{}, false
	}
	if _, fenced := slices.BinarySearch(published.value.fenced, node); !fenced {
		return drivers.Fence{}, false
	}
	return drivers.Fence{Message: "VolumeTopology " + published.name + " names the node as fenced", ObservedAt: s.confirmed(id.Provisioner)}, true
}

// confirmed is when the provisioner last confirmed anything. The caller holds reading.
func (s *Source) confirmed(provisioner string) time.Time {
	if newest, ok := s.newest[provisioner]; ok {
		return newest
	}
	return neverConfirmed
}

// NodeReport implements drivers.HealthReporter.
func (s *Source) NodeReport(provisioner, node string) (drivers.NodeReport, bool) {
	s.reading.RLock()
	defer s.reading.RUnlock()
	published := s.nodes.byKey[storageNode{provisioner: provisioner, node: node}]
	if published == nil {
		return drivers.NodeReport{}, false
	}
	return drivers.NodeReport{
		State:      published.value.state,
		Message:    published.value.message,
		ObservedAt: published.value.observedAt,
	}, true
}
