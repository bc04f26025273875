// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"iter"
	"slices"
)

// maxTierNodes bounds the nodes that an attempt in a tier looks at, so that it costs less than one over all nodes.
const maxTierNodes = 100

// Level counts the attempts to place a pod: 0 tries the data nodes, each one after that a wider tier of the topology.
type Level int

// Attempt is the set of nodes that one attempt to place a pod looks at.
type Attempt struct {
	// Nodes are the names of the nodes in play. Where All is true it is empty.
	Nodes []string
	// All means that every node is in play.
	All bool
	// Level is the level that these nodes belong to. Where an attempt there fails, Level+1 is next.
	Level Level
	// Last means that there is nothing wider to try.
	Last bool
}

// NodesAt returns the nodes in play at the level, or at the first wider one that has nodes of its own. Required volumes
// bound every level. seed spreads pods over a tier that has more nodes than an attempt may look at; nodes are the
// cluster's.
func (p *Plan) NodesAt(level Level, seed uint64, nodes iter.Seq[Node]) Attempt {
	if p.isRequired {
		return p.requiredAt(level)
	}
	if len(p.local) == 0 {
		return Attempt{All: true, Level: p.lastLevel(), Last: true}
	}
	if level <= 0 {
		return Attempt{Nodes: p.local}
	}
	for tier := int(level) - 1; tier < len(p.tiers); tier++ {
		if near, ok := p.nodesInTier(tier, seed, nodes); ok {
			return Attempt{Nodes: near, Level: Level(tier + 1)}
		}
	}
	return Attempt{All: true, Level: p.lastLevel(), Last: true}
}

func (p *Plan) lastLevel() Level {
	return Level(len(p.tiers) + 1)
}

// requiredAt tries the nodes that have every volume's data before those that have only the Required ones'.
func (p *Plan) requiredAt(level Level) Attempt {
	if level <= 0 && len(p.local) > 0 && len(p.local) < len(p.required) {
		return Attempt{Nodes: p.local}
	}
	return Attempt{Nodes: p.required, Level: p.lastLevel(), Last: true}
}

// nodesInTier returns the nodes that share the tier, or a nearer one, with a node to try first, those included. It is false
// where the tier adds no node to the nearer ones, and where it leaves none out.
func (p *Plan) nodesInTier(tier int, seed uint64, nodes iter.Seq[Node]) ([]string, bool) {
	var origins []position
	for node := range nodes {
		if slices.Contains(p.local, node.Name) {
			origins = append(origins, p.positionOf(node.Labels))
		}
	}
	var near []string
	added, total := false, 0
	for node := range nodes {
		total++
		shared := p.nearestTo(origins, node)
		if shared > tier || slices.Contains(p.local, node.Name) {
			continue
		}
		near = append(near, node.Name)
		added = added || shared == tier
	}
	if !added || len(near)+len(p.local) >= total {
		return nil, false
	}
	return append(window(near, maxTierNodes-len(p.local), seed), p.local...), true
}

// nearestTo returns the nearest tier that the node shares with any of the origins; beyond the last where it shares none.
func (p *Plan) nearestTo(origins []position, node Node) int {
	place := p.positionOf(node.Labels)
	best := len(p.tiers)
	for i := range origins {
		if shared := nearest(len(p.tiers), &origins[i], &place); shared >= 0 {
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
	if size <= 0 {
		return nil
	}
	start := int(seed % uint64(len(names)))
	picked := make([]string, 0, size)
	for i := range size {
		picked = append(picked, names[(start+i)%len(names)])
	}
	return picked
}
