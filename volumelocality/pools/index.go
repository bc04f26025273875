// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"cmp"
	"maps"
	"slices"
)

// index finds the pools of one class that a node can use, without a look at all of them: a cluster with local storage has as
// many pools as nodes. It does not change once made; the numbers in the pools do.
type index struct {
	// keys are the labels by which pools are found, usually one.
	keys    []string
	byLabel map[label][]*pool
	// others are the pools whose nodes are told in another way than by labels, usually none.
	others []*pool
}

// newIndex files each pool under that label of its nodes which tells most pools apart: the host's name before the zone.
func newIndex(pools map[string]*pool) *index {
	sorted := slices.SortedFunc(maps.Values(pools), func(a, b *pool) int { return cmp.Compare(a.key, b.key) })
	values := countValues(sorted)
	x := &index{byLabel: map[label][]*pool{}}
	for _, p := range sorted {
		if p.reach.selector != nil {
			x.others = append(x.others, p)
			continue
		}
		by := slices.MaxFunc(p.reach.pairs, func(a, b label) int {
			return cmp.Or(cmp.Compare(values[a.key], values[b.key]), cmp.Compare(b.key, a.key))
		})
		if !slices.Contains(x.keys, by.key) {
			x.keys = append(x.keys, by.key)
		}
		x.byLabel[by] = append(x.byLabel[by], p)
	}
	return x
}

// countValues counts the values that the pools name of each label.
func countValues(pools []*pool) map[string]int {
	counts, seen := map[string]int{}, map[label]bool{}
	for _, p := range pools {
		for _, pair := range p.reach.pairs {
			if !seen[pair] {
				seen[pair] = true
				counts[pair.key]++
			}
		}
	}
	return counts
}

// appendPools appends the pools that a node with these labels can use.
func (x *index) appendPools(found []*pool, node map[string]string) []*pool {
	for _, key := range x.keys {
		value, ok := node[key]
		if !ok {
			continue
		}
		for _, p := range x.byLabel[label{key, value}] {
			if p.reach.has(node) {
				found = append(found, p)
			}
		}
	}
	for _, p := range x.others {
		if p.reach.has(node) {
			found = append(found, p)
		}
	}
	return found
}
