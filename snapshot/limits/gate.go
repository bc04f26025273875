// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// patience is how many that came later may go first.
const patience = 16

// Limits are operations in flight at one time. One below 1 counts as 1: with none, nothing would ever begin.
type Limits struct{ PerDriver, PerNamespace, Cluster int }

// Gate lets in as many as the limits allow.
type Gate struct {
	limits Limits
	wake   func(types.NamespacedName)

	mu       sync.Mutex
	inside   map[types.NamespacedName]map[string]int
	inFlight usage
	waiting  []*waiter
}

// waiter is one that asked and was not let in, in the order of asking.
type waiter struct {
	key  types.NamespacedName
	load map[string]int
	// passed is how many went in that came later.
	passed int
}

// New returns a gate that nobody has passed. It calls wake, on the goroutine of the Leave that made room, for each key that
// has entered after it had to wait.
func New(limits Limits, wake func(types.NamespacedName)) *Gate {
	return &Gate{
		limits: Limits{
			PerDriver: max(limits.PerDriver, 1), PerNamespace: max(limits.PerNamespace, 1), Cluster: max(limits.Cluster, 1),
		},
		wake:     wake,
		inside:   map[types.NamespacedName]map[string]int{},
		inFlight: newUsage(),
	}
}

// Enter asks for a place, with the operations that key is going to begin, by CSI driver. True: key has its place until it
// leaves, and may ask again at no cost. False: it waits, and has its place when wake is called with it.
func (g *Gate) Enter(key types.NamespacedName, load map[string]int) bool {
	g.mu.Lock()
	if _, ok := g.inside[key]; ok {
		g.mu.Unlock()
		return true
	}
	g.queue(key, load)
	admitted := g.admit()
	_, ok := g.inside[key]
	g.mu.Unlock()
	g.wakeAll(admitted, key)
	return ok
}

// Resume gives key a place whatever the limits say: its operations are in flight, as after a restart.
func (g *Gate) Resume(key types.NamespacedName, load map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.inside[key]; ok {
		return
	}
	g.forget(key)
	g.enter(key, maps.Clone(load))
}

// Leave gives the place of key back, or has it wait no longer. A key that is unknown is left alone.
func (g *Gate) Leave(key types.NamespacedName) {
	g.mu.Lock()
	load, ok := g.inside[key]
	if ok {
		delete(g.inside, key)
		g.inFlight.add(key.Namespace, load, -1)
	} else {
		ok = g.forget(key)
	}
	var admitted []types.NamespacedName
	if ok {
		// One that gives up waiting makes room too: places may have been kept for it.
		admitted = g.admit()
	}
	g.mu.Unlock()
	g.wakeAll(admitted, types.NamespacedName{})
}

// InFlight is how many operations are in flight, by CSI driver.
func (g *Gate) InFlight() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.inFlight.drivers)
}

// Waiting is how many wait.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Waits says that key has asked and not got in. It is going to be woken.
func (g *Gate) Waits(key types.NamespacedName) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.waiting, func(w *waiter) bool { return w.key == key })
}

// queue has key wait, where it was if it waits already.
func (g *Gate) queue(key types.NamespacedName, load map[string]int) {
	for _, w := range g.waiting {
		if w.key == key {
			w.load = maps.Clone(load)
			return
		}
	}
	g.waiting = append(g.waiting, &waiter{key: key, load: maps.Clone(load)})
}

func (g *Gate) enter(key types.NamespacedName, load map[string]int) {
	g.inside[key] = load
	g.inFlight.add(key.Namespace, load, 1)
}

// forget is false where key does not wait.
func (g *Gate) forget(key types.NamespacedName) bool {
	for i, w := range g.waiting {
		if w.key == key {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return true
		}
	}
	return false
}

func (g *Gate) wakeAll(keys []types.NamespacedName, but types.NamespacedName) {
	for _, key := range keys {
		if key != but {
			g.wake(key)
		}
	}
}
