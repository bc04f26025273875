// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"k8s.io/utils/clock"
)

// handleHexDigits is how much of a name's hash is in a volume's handle and a snapshot's id.
const handleHexDigits = 12

// EventKind says what an Event is about.
type EventKind string

const (
	// VolumeChanged is a volume that was created, changed or deleted.
	VolumeChanged EventKind = "Volume"
	// NodeChanged is a storage node that appeared, changed or went.
	NodeChanged EventKind = "Node"
	// PublisherResumed says that publishing is on again and that all state must be published anew.
	PublisherResumed EventKind = "PublisherResumed"
)

// Event says that something changed, not what: the reader looks up the present state.
type Event struct {
	Kind EventKind
	// ID is a volume handle or a node name.
	ID string
}

// Options are what a Cluster needs.
type Options struct {
	Clock clock.PassiveClock
	// PoolCapacity is the size of every storage node's pool, in bytes.
	PoolCapacity int64
}

// Cluster is the storage system. Its methods may be called from any goroutine.
type Cluster struct {
	clock        clock.PassiveClock
	poolCapacity int64

	mu         sync.Mutex
	nodes      map[string]*node
	volumes    map[string]*volume
	snapshots  map[string]*Snapshot
	groups     map[string]*groupSnapshot
	used       map[string]int64 // by node name, also for nodes that are gone
	faults     Faults
	fencing    Fencing
	violations []Violation
	listeners  []func(Event)
}

// New returns a storage system without nodes, which fences by itself.
func New(o Options) (*Cluster, error) {
	if o.PoolCapacity <= 0 {
		return nil, errorf(Invalid, "pool capacity: invalid value %d: must be more than 0 bytes", o.PoolCapacity)
	}
	return &Cluster{
		clock:        o.Clock,
		poolCapacity: o.PoolCapacity,
		nodes:        map[string]*node{},
		volumes:      map[string]*volume{},
		snapshots:    map[string]*Snapshot{},
		groups:       map[string]*groupSnapshot{},
		used:         map[string]int64{},
		fencing:      FencingAutomatic,
	}, nil
}

// Subscribe has fn called for every event. The model is locked meanwhile: fn must not block nor call the Cluster.
func (c *Cluster) Subscribe(fn func(Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, fn)
}

func (c *Cluster) notify(kind EventKind, id string) {
	for _, fn := range c.listeners {
		fn(Event{Kind: kind, ID: id})
	}
}

// identifier derives a handle from a name. A volume's name is the PersistentVolume's name, and nothing may take one for
// the other, so the handle does not contain it.
func identifier(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + hex.EncodeToString(sum[:])[:handleHexDigits]
}
