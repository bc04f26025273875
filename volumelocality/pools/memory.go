// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Memory is what is known of all pools, in one process. It is safe for concurrent use.
type Memory struct {
	clock clock.WithTicker
	// labelsOf are a node's labels, nil where there is no such node.
	labelsOf func(node string) map[string]string

	mu          sync.Mutex
	subscribers []func(class string, free int64)
	pools       map[string]*pool
	classes     map[string]*class
	assumed     map[types.UID]*assumption
	// more are the pools that have more room since the subscribers were told last.
	more map[*pool]bool
}

// class is what is known of one StorageClass.
type class struct {
	pools map[string]*pool
	// index is nil where the pools have changed since it was made.
	index *index
	// unplaced are the assumptions of which no pool is known.
	unplaced map[*assumption]bool
	// unclaimed are the sizes of the PersistentVolumes that nobody has claimed, and largestUnclaimed is the largest, or negative
	// where it must be looked for.
	unclaimed        map[string]int64
	largestUnclaimed int64
}

// New returns an empty memory. labelsOf answers from memory, and is nil for a node that it does not know.
func New(clock clock.WithTicker, labelsOf func(node string) map[string]string) *Memory {
	return &Memory{
		clock: clock, labelsOf: labelsOf,
		pools: map[string]*pool{}, classes: map[string]*class{}, assumed: map[types.UID]*assumption{}, more: map[*pool]bool{},
	}
}

// Subscribe has grown called from then on whenever a pool of the class has more room than before, with what is free there now. It
// is called by whoever made the change, holding no lock of the memory's, and by several at once where several make changes.
func (m *Memory) Subscribe(grown func(class string, free int64)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscribers = append(m.subscribers, grown)
}

// update runs a change under the lock, and then tells the subscribers where there is more room.
func (m *Memory) update(change func(now time.Time)) {
	m.mu.Lock()
	change(m.clock.Now())
	if len(m.more) == 0 {
		m.mu.Unlock()
		return
	}
	more, subscribers := m.more, m.subscribers
	m.more = map[*pool]bool{}
	m.mu.Unlock()
	for p := range more {
		for _, grown := range subscribers {
			grown(p.class, p.free.Load())
		}
	}
}

// settleUp computes what the pool has free.
func (m *Memory) settleUp(p *pool) {
	if p != nil && p.settleUp() {
		m.more[p] = true
	}
}

func (m *Memory) class(name string) *class {
	c, ok := m.classes[name]
	if !ok {
		c = &class{pools: map[string]*pool{}, unplaced: map[*assumption]bool{}, unclaimed: map[string]int64{}}
		m.classes[name] = c
	}
	return c
}

// tidy forgets a class of which nothing is known.
func (m *Memory) tidy(name string) {
	if c, ok := m.classes[name]; ok && len(c.pools) == 0 && len(c.unplaced) == 0 && len(c.unclaimed) == 0 {
		delete(m.classes, name)
	}
}

// indexOf returns the class's index, and finds pools for the assumptions that have none.
func (m *Memory) indexOf(c *class) *index {
	if c.index == nil {
		c.index = newIndex(c.pools)
	}
	for a := range c.unplaced {
		if p := c.index.poolFor(a.bytes, m.labelsOf(a.node)); p != nil {
			m.place(a, p)
		}
	}
	return c.index
}

// poolFor is where a volume of that size goes that is made for a node with these labels: the first pool that takes it, and
// otherwise the one with most room. It is nil where the node has none.
func (x *index) poolFor(bytes int64, node map[string]string) *pool {
	var best *pool
	for _, p := range x.appendPools(nil, node) {
		if bytes <= p.free.Load() && bytes <= p.largest.Load() {
			return p
		}
		if best == nil || p.free.Load() > best.free.Load() {
			best = p
		}
	}
	return best
}
