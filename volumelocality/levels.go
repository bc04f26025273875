// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"iter"
	"slices"
)

// maxNearNodes bounds the nodes that an attempt near the data looks at, so that it costs less than one over all nodes.
const maxNearNodes = 100

// Level counts the attempts to place a pod.
type Level int

const (
	// LevelData tries the nodes with the data.
	LevelData Level = iota
	// LevelNear tries them and the nodes near them, the nearest first.
	LevelNear
	// LevelAll tries all nodes that the volumes can be used on.
	LevelAll
)

// Attempt is the set of nodes that one attempt to place a pod looks at.
type Attempt struct {
	// Level is the level that the nodes belong to. Past LevelAll there is nothing wider to try.
	Level Level
	// All means that every node is in play.
	All bool
	// Nodes are the names of the nodes in play, where not all are.
	Nodes []string
}

// NodesAt returns the nodes in play at the level, or at the first wider one that has nodes of its own. Volumes that are
// Required or pinned bound every level. seed spreads pods over a tier that has more nodes than an attempt may look at;
// nodes are the cluster's.
func (p *Plan) NodesAt(level Level, seed uint64, nodes iter.Seq[Node]) Attempt {
	everywhere := Attempt{Level: LevelAll, All: !p.usable.bounded, Nodes: p.usable.nodes}
	switch {
	case len(p.local) == 0 || level >= LevelAll:
		return everywhere
	case p.usable.bounded && (level > LevelData || len(p.local) == len(p.usable.nodes)):
		return everywhere
	case level == LevelData:
		return Attempt{Level: LevelData, Nodes: p.local}
	}
	if near, ok := p.nearNodes(seed, nodes); ok {
		return Attempt{Level: LevelNear, Nodes: near}
	}
	return everywhere
}

// nearNodes returns the nodes to try first and those that share a tier of the topology with them, the nearest tier first.
// It is false where there are none, and where that would be all nodes.
func (p *Plan) nearNodes(seed uint64, nodes iter.Seq[Node]) ([]string, bool) {
	var byTier [MaxTiers][]string
	total := 0
	for node := range nodes {
		total++
		if tier := p.nearestTier(node); tier < len(p.tiers) && !slices.Contains(p.local, node.Name) {
			byTier[tier] = append(byTier[tier], node.Name)
		}
	}
	near := slices.Clone(p.local)
	for _, tier := range byTier {
		near = append(near, window(tier, maxNearNodes-len(near), seed)...)
	}
	return near, len(near) > len(p.local) && len(near) < total
}

// nearestTier is the nearest tier that the node shares with a node to try first; past the last where it shares none.
func (p *Plan) nearestTier(node Node) int {
	place := p.positionOf(node.Labels)
	best := len(p.tiers)
	for i := range p.origins {
		if shared := nearest(len(p.tiers), &p.origins[i], &place); shared >= 0 {
			best = min(best, shared)
		}
	}
	return best
}

// window returns at most size names, beginning at a place that the seed chooses.
func window(names []string, size int, seed uint64) []string {
	if len(names) <= size {
		return names
	}
	picked := make([]string, 0, max(size, 0))
	for i := range max(size, 0) {
		picked = append(picked, names[(seed%uint64(len(names))+uint64(i))%uint64(len(names))])
	}
	return picked
}
