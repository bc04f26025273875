// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"roost.dev/roost/drivers"
)

const provisioner = "memory.roost.dev"

// defect is one way of breaking the contract.
type defect int

const (
	none defect = iota
	nameless
	syncedBeforeRun
	syncedTooEarly
	answersBeforeRun
	locatesUnknown
	reportsUnknown
	namesNodeTwice
	callsReplicasStale
	neverForgets
	tellsNothing
	tellsTwice
	tellsNoOps
	tellsHeartbeats
	tellsTogether
	changesAnswers
	answersHalf
	neverAges
	agesWithoutMaxAge
	allocates
	allocatesToSync
	failsAtEnd
	goesOn
	leaks
	provesUnknown
	provesNothing
	provesForEver
)

// fence is a volume and a node.
type fence struct {
	id   drivers.VolumeID
	node string
}

// memory is both a fixture and its driver: what is placed is known at once, while it runs.
type memory struct {
	defect  defect
	release chan struct{}
	changed []func(drivers.Change)

	mu        sync.Mutex
	now       time.Time
	running   bool
	synced    bool
	answers   int
	replicas  map[drivers.VolumeID][]drivers.Replica
	states    map[string]drivers.StorageState
	fenced    map[fence]bool
	confirmed time.Time
}

func newMemory(t *testing.T, d defect) *memory {
	m := &memory{
		defect:   d,
		release:  make(chan struct{}),
		now:      time.Unix(1_000_000, 0),
		replicas: map[drivers.VolumeID][]drivers.Replica{},
		states:   map[string]drivers.StorageState{},
		fenced:   map[fence]bool{},
	}
	m.confirmed = m.now
	t.Cleanup(func() { close(m.release) })
	return m
}

func (m *memory) Driver(*testing.T) drivers.Driver {
	d := drivers.Driver{Name: "memory", Provisioners: []string{provisioner}, MaxAge: time.Minute, Source: m, Locator: m, Health: m, Fencer: m}
	if m.defect == nameless {
		d.Name = ""
	}
	if m.defect == agesWithoutMaxAge {
		d.MaxAge = 0
	}
	return d
}

func (m *memory) Volume(n int) drivers.VolumeID {
	return drivers.VolumeID{Provisioner: provisioner, Handle: string(rune('a' + n))}
}

func (m *memory) Place(_ *testing.T, id drivers.VolumeID, nodes ...string) {
	var replicas []drivers.Replica
	for _, node := range nodes {
		replica := drivers.Replica{Node: node}
		if m.defect == callsReplicasStale {
			replica.State = drivers.Stale
		}
		replicas = append(replicas, replica)
		if m.defect == namesNodeTwice {
			replicas = append(replicas, replica)
		}
	}
	m.mu.Lock()
	before := m.replicas[id]
	if m.defect == changesAnswers {
		copy(before, replicas)
	}
	m.replicas[id] = replicas
	m.mu.Unlock()
	m.tell(drivers.Change{Volume: id}, !slices.Equal(before, replicas) || m.defect == tellsNoOps)
}

func (m *memory) Remove(_ *testing.T, id drivers.VolumeID) {
	m.mu.Lock()
	if m.defect != neverForgets {
		delete(m.replicas, id)
	}
	m.mu.Unlock()
	m.tell(drivers.Change{Volume: id}, true)
}

func (m *memory) Report(_ *testing.T, node string, state drivers.StorageState) {
	m.mu.Lock()
	m.now = m.now.Add(time.Second)
	before := m.states[node]
	m.states[node] = state
	if m.defect != neverAges {
		m.confirmed = m.now
	}
	m.mu.Unlock()
	m.tell(drivers.Change{Provisioner: provisioner, Node: node}, before != state || m.defect == tellsHeartbeats)
}

func (m *memory) Fence(_ *testing.T, id drivers.VolumeID, node string, fenced bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.defect == provesNothing || m.defect == provesForEver && !fenced {
		return
	}
	m.fenced[fence{id: id, node: node}] = fenced
}

func (m *memory) tell(change drivers.Change, really bool) {
	if !really || m.defect == tellsNothing {
		return
	}
	for _, changed := range m.changed {
		if m.defect == tellsTogether {
			var group sync.WaitGroup
			for range 1000 {
				group.Go(func() { changed(drivers.Change{Node: "together"}) })
			}
			group.Wait()
		}
		changed(change)
		if m.defect == tellsTwice {
			changed(change)
		}
	}
}

func (m *memory) Run(ctx context.Context) error {
	m.mu.Lock()
	m.synced = true
	m.running = m.defect != syncedTooEarly
	m.mu.Unlock()
	if m.defect == leaks {
		go func() { <-m.release }()
	}
	<-ctx.Done()
	switch m.defect {
	case goesOn:
		<-m.release
	case failsAtEnd:
		return errors.New("context ended")
	default:
	}
	return nil
}

func (m *memory) HasSynced() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.defect == allocatesToSync {
		m.fenced = map[fence]bool{}
	}
	return m.synced || m.defect == syncedBeforeRun
}

func (m *memory) Subscribe(changed func(drivers.Change)) {
	m.changed = append(m.changed, changed)
}

func (m *memory) Locate(id drivers.VolumeID) (drivers.Location, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	replicas, ok := m.replicas[id]
	if m.defect == allocates {
		replicas = slices.Clone(replicas)
	}
	m.answers++
	if m.defect == answersHalf && m.answers%2 == 0 {
		replicas = replicas[:len(replicas)/2]
	}
	if m.defect == locatesUnknown {
		ok = true
	}
	if !m.running && m.defect != answersBeforeRun {
		return drivers.Location{}, false
	}
	return drivers.Location{Replicas: replicas, ObservedAt: m.confirmed}, ok
}

func (m *memory) NodeReport(asked, node string) (drivers.NodeReport, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running && m.defect != answersBeforeRun {
		return drivers.NodeReport{}, false
	}
	state, ok := m.states[node]
	if m.defect == reportsUnknown {
		ok = true
	}
	return drivers.NodeReport{State: state, ObservedAt: m.confirmed}, ok && asked == provisioner
}

func (m *memory) Fenced(id drivers.VolumeID, node string) (drivers.Fence, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running && m.defect != answersBeforeRun {
		return drivers.Fence{}, false
	}
	known := m.fenced[fence{id: id, node: node}] || m.defect == provesUnknown && id.Provisioner != provisioner
	return drivers.Fence{Message: "fenced", ObservedAt: m.confirmed}, known
}

func TestConformanceAcceptsADriverThatKeepsTheContract(t *testing.T) {
	Conformance(t, func(t *testing.T) Fixture { return newMemory(t, none) })
}

// modest is a driver that has neither Health nor Fencer.
type modest struct{ *memory }

func (m modest) Driver(t *testing.T) drivers.Driver {
	d := m.memory.Driver(t)
	d.Health, d.Fencer = nil, nil
	return d
}

func TestConformanceAcceptsADriverThatHasNeitherHealthNorFencer(t *testing.T) {
	Conformance(t, func(t *testing.T) Fixture { return modest{newMemory(t, none)} })
}

func TestConformanceSeesEachDefect(t *testing.T) {
	before := patience
	patience = 100 * time.Millisecond
	t.Cleanup(func() { patience = before })
	for name, tc := range map[string]struct {
		defect defect
		check  func(*testing.T, Fixture) error
	}{
		"a driver without a name":                     {defect: nameless, check: registers},
		"synced before it runs":                       {defect: syncedBeforeRun, check: syncs},
		"synced before it knows":                      {defect: syncedTooEarly, check: syncs},
		"answers before it runs":                      {defect: answersBeforeRun, check: syncs},
		"locates a volume that does not exist":        {defect: locatesUnknown, check: locates},
		"names a node twice":                          {defect: namesNodeTwice, check: locates},
		"calls replicas Stale that are InSync":        {defect: callsReplicasStale, check: locates},
		"locates a volume that is gone":               {defect: neverForgets, check: follows},
		"tells no change of a volume":                 {defect: tellsNothing, check: tellsVolumes},
		"tells a change of a volume twice":            {defect: tellsTwice, check: tellsVolumes},
		"tells of a volume that did not change":       {defect: tellsNoOps, check: tellsVolumes},
		"tells two changes at the same time":          {defect: tellsTogether, check: tellsVolumes},
		"tells no change of a node":                   {defect: tellsNothing, check: tellsNodes},
		"tells a change of a node twice":              {defect: tellsTwice, check: tellsNodes},
		"tells of a heartbeat":                        {defect: tellsHeartbeats, check: tellsNodes},
		"reports a node that has no storage":          {defect: reportsUnknown, check: tellsNodes},
		"changes an answer that it gave":              {defect: changesAnswers, check: follows},
		"answers between two states":                  {defect: answersHalf, check: servesReaders},
		"never grows younger":                         {defect: neverAges, check: ages},
		"has a time, but no bound to compare it with": {defect: agesWithoutMaxAge, check: ages},
		"allocates in a look-up":                      {defect: allocates, check: allocatesNothing},
		"allocates where a look-up asks if it synced": {defect: allocatesToSync, check: allocatesNothing},
		"fails when it is told to stop":               {defect: failsAtEnd, check: stops},
		"goes on when it is told to stop":             {defect: goesOn, check: stops},
		"leaves a goroutine":                          {defect: leaks, check: stops},
		"proves what was never fenced":                {defect: provesUnknown, check: fences},
		"proves nothing":                              {defect: provesNothing, check: fences},
		"has no proof of a node fenced before it ran": {defect: provesNothing, check: syncs},
		"proves for ever":                             {defect: provesForEver, check: fences},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.check(t, newMemory(t, tc.defect)); err == nil {
				t.Error("the check passes, want an error")
			}
		})
	}
}
