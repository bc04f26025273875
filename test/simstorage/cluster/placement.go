// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"hash/fnv"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// placement chooses the nodes of a new volume's replicas. It is pure: it reads candidates and returns names.
type placement struct {
	// volume is the volume's name; it breaks ties, so that equal volumes spread and a repetition chooses the same nodes.
	volume    string
	class     Class
	preferred []Segments
	// sources are the names of nodes with the data that the volume starts from.
	sources []string
	// candidates are the nodes that may get a replica: healthy, in the requisite topology, with room. At least as many
	// as the class wants.
	candidates []candidate

	chosen []candidate
}

type candidate struct {
	*node
	free int64
}

// choose returns the nodes, the first replica's first.
func (p *placement) choose() []string {
	p.seed()
	for len(p.chosen) < p.class.Replicas {
		p.take(slices.MinFunc(p.candidates, p.compare))
	}
	names := make([]string, 0, len(p.chosen))
	for _, c := range p.chosen {
		names = append(names, c.name)
	}
	return names
}

// seed places the replicas that have a reason to be on certain nodes: one beside the data it is made from, one where the
// volume is wanted. A single replica that only its own node can mount goes where it is wanted.
func (p *placement) seed() {
	fromSource := len(p.sources) > 0
	mustBeWanted := p.class.Replicas == 1 && p.class.Access == AccessReplicas && len(p.preferred) > 0
	if fromSource && !mustBeWanted {
		p.takeBest(func(c candidate) bool { return slices.Contains(p.sources, c.name) })
	}
	for i, segments := range p.preferred {
		done := len(p.chosen) > 0 && (!fromSource || i > 0 || segments.matches(p.chosen[0].node))
		if done || len(p.chosen) >= p.class.Replicas {
			return
		}
		p.takeBest(func(c candidate) bool { return segments.matches(c.node) })
	}
}

func (p *placement) takeBest(fits func(candidate) bool) {
	var fitting []candidate
	for _, c := range p.candidates {
		if fits(c) {
			fitting = append(fitting, c)
		}
	}
	if len(fitting) > 0 {
		p.take(slices.MinFunc(fitting, p.compare))
	}
}

func (p *placement) take(c candidate) {
	p.chosen = append(p.chosen, c)
	p.candidates = slices.DeleteFunc(p.candidates, func(other candidate) bool { return other.name == c.name })
}

// compare sorts the better node first: one wanted more by the first preferred topology while none is chosen, another
// rack, another zone, more room, and then a stable order of the volume's own.
func (p *placement) compare(a, b candidate) int {
	if len(p.chosen) == 0 && len(p.preferred) > 0 {
		if order := cmp.Compare(p.unwanted(a), p.unwanted(b)); order != 0 {
			return order
		}
	}
	return cmp.Or(
		cmp.Compare(p.sharing(a, rackOf), p.sharing(b, rackOf)),
		cmp.Compare(p.sharing(a, zoneOf), p.sharing(b, zoneOf)),
		cmp.Compare(b.free, a.free),
		cmp.Compare(p.hash(a.name), p.hash(b.name)),
		cmp.Compare(a.name, b.name),
	)
}

func (p *placement) unwanted(c candidate) int {
	if p.preferred[0].matches(c.node) {
		return 0
	}
	return 1
}

// sharing counts the chosen nodes in the candidate's domain. A node without the label shares no domain.
func (p *placement) sharing(c candidate, domain func(*node) string) int {
	own, count := domain(c.node), 0
	for _, other := range p.chosen {
		if own != "" && domain(other.node) == own {
			count++
		}
	}
	return count
}

func (p *placement) hash(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.volume + "/" + name)) // a Hash never fails
	// FNV's high bits hardly depend on the last bytes; without this, nodes whose names differ only there keep their order.
	sum := h.Sum64()
	sum ^= sum >> 32
	return sum * 0x9e3779b97f4a7c15
}

// rackOf names a rack within its zone, since racks of two zones may have one name.
func rackOf(n *node) string {
	rack, ok := n.labels[RackLabel]
	if !ok {
		return ""
	}
	return zoneOf(n) + "/" + rack
}

func zoneOf(n *node) string { return n.labels[corev1.LabelTopologyZone] }
