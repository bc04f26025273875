// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
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
type Client interface {
	List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error
	Watch(ctx context.Context, list client.ObjectList, options ...client.ListOption) (watch.Interface, error)
}

// Options are what the driver needs. All are required.
type Options struct {
	Client Client
	Clock  clock.Clock
}

// Source is the driver's memory, and what keeps it fresh.
type Source struct {
	clock       clock.Clock
	topologies  *mirror[*storagev1alpha1.VolumeTopology]
	reports     *mirror[*storagev1alpha1.StorageReport]
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
	s.topologies = &mirror[*storagev1alpha1.VolumeTopology]{
		kind: "VolumeTopology", client: options.Client, clock: options.Clock,
		newObject: func() *storagev1alpha1.VolumeTopology { return &storagev1alpha1.VolumeTopology{} },
		newList:   func() client.ObjectList { return &storagev1alpha1.VolumeTopologyList{} },
		put:       s.putTopology, remove: s.removeTopology, names: s.volumes.names,
	}
	s.reports = &mirror[*storagev1alpha1.StorageReport]{
		kind: "StorageReport", client: options.Client, clock: options.Clock,
		newObject: func() *storagev1alpha1.StorageReport { return &storagev1alpha1.StorageReport{} },
		newList:   func() client.ObjectList { return &storagev1alpha1.StorageReportList{} },
		put:       s.putReport, remove: s.removeReport, names: s.nodes.names,
	}
	return s, nil
}

// Driver is what a registry adds. It names no provisioner, so that it is asked after the drivers that do.
func (s *Source) Driver() drivers.Driver {
	return drivers.Driver{Name: Name, MaxAge: MaxAge, Source: s, Locator: s, Health: s}
}

// Run implements drivers.Source. It never fails.
func (s *Source) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { s.topologies.run(ctx) })
	group.Go(func() { s.reports.run(ctx) })
	group.Wait()
	return nil
}

// HasSynced implements drivers.Source.
func (s *Source) HasSynced() bool {
	return s.topologies.synced.Load() && s.reports.synced.Load()
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
	confirmed, ok := s.newest[id.Provisioner]
	if !ok {
		confirmed = neverConfirmed
	}
	return drivers.Location{
		Replicas:   published.value.replicas,
		AttachedTo: published.value.attachedTo,
		ObservedAt: confirmed,
	}, true
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
