// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"k8s.io/apimachinery/pkg/types"
)

// admit lets in everybody there is room for, best first, and returns them. Where the best one has no room, what it lacks is
// kept for it: else a large one would wait for ever while small ones slip past.
func (g *Gate) admit() []types.NamespacedName {
	var admitted []types.NamespacedName
	kept := newReserve()
	for !kept.everything && !g.full() {
		best := g.best(kept)
		if best < 0 {
			break
		}
		w := g.waiting[best]
		if !kept.keep(g.limits, g.inFlight, w) {
			continue
		}
		for _, earlier := range g.waiting[:best] {
			earlier.passed++
		}
		g.waiting = append(g.waiting[:best], g.waiting[best+1:]...)
		g.enter(w.key, w.load)
		admitted = append(admitted, w.key)
	}
	return admitted
}

func (g *Gate) full() bool {
	return g.inFlight.total >= g.limits.Cluster
}

// best is the index of who is next of those that may use what is not kept for others, or -1.
func (g *Gate) best(kept reserve) int {
	best := -1
	for i, w := range g.waiting {
		if !kept.touches(w) && (best < 0 || g.before(w, g.waiting[best])) {
			best = i
		}
	}
	return best
}

// before compares one that came later with one that came earlier.
func (g *Gate) before(later, earlier *waiter) bool {
	if earlier.passed >= patience || later.passed >= patience {
		return earlier.passed < patience
	}
	return g.inFlight.namespaces[later.key.Namespace] < g.inFlight.namespaces[earlier.key.Namespace]
}

// usage counts operations.
type usage struct {
	drivers    map[string]int
	namespaces map[string]int
	total      int
}

func newUsage() usage {
	return usage{drivers: map[string]int{}, namespaces: map[string]int{}}
}

func (u *usage) add(namespace string, load map[string]int, sign int) {
	for driver, operations := range load {
		add(u.drivers, driver, sign*operations)
	}
	add(u.namespaces, namespace, sign*sum(load))
	u.total += sign * sum(load)
}

func add(counts map[string]int, key string, n int) {
	counts[key] += n
	if counts[key] == 0 {
		delete(counts, key)
	}
}

func sum(load map[string]int) int {
	total := 0
	for _, operations := range load {
		total += operations
	}
	return total
}

// reserve is what is kept for those that are next and have no room yet.
type reserve struct {
	drivers, namespaces map[string]bool
	everything          bool
}

func newReserve() reserve {
	return reserve{drivers: map[string]bool{}, namespaces: map[string]bool{}}
}

// keep is true where there is room. Else it keeps what lacks.
func (r *reserve) keep(limits Limits, used usage, w *waiter) bool {
	room := true
	for driver, operations := range w.load {
		if !fits(used.drivers[driver], operations, limits.PerDriver) {
			r.drivers[driver], room = true, false
		}
	}
	if !fits(used.namespaces[w.key.Namespace], sum(w.load), limits.PerNamespace) {
		r.namespaces[w.key.Namespace], room = true, false
	}
	if !fits(used.total, sum(w.load), limits.Cluster) {
		r.everything, room = true, false
	}
	return room
}

func (r *reserve) touches(w *waiter) bool {
	for driver := range w.load {
		if r.drivers[driver] {
			return true
		}
	}
	return r.namespaces[w.key.Namespace]
}

// fits lets in what is larger than the limit where nothing else is in flight.
func fits(used, more, limit int) bool {
	return used == 0 || used+more <= limit
}
