// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"

	"roost.dev/roost/drivers"
)

// Locality says how near a node is to a volume's data. Its values are few, so that it can be a metric's label.
type Locality string

const (
	// Local is a node with an in-sync replica that its storage serves.
	Local Locality = "local"
	// Near is a node that shares a tier of the topology with such a node.
	Near Locality = "near"
	// Remote is a node that shares none.
	Remote Locality = "remote"
	// NotKnown is any node where nobody knows where the volume is.
	NotKnown Locality = "unknown"
)

// Placement is what a node gives to a volume.
type Placement struct {
	Locality Locality
	// Holds says that the node has an in-sync replica, whether its storage serves it or not.
	Holds bool
	// Tier is the label of the nearest tier that the node shares with the data, where Locality is Near.
	Tier string
	// Serving are the nodes with an in-sync replica that their storage serves.
	Serving []string
	// NotServing are those whose storage does not.
	NotServing []NodeState
	// Missing are the nodes of in-sync replicas that do not exist.
	Missing []string
}

// NodeState is how a volume's storage is on a node.
type NodeState struct {
	Node  string
	State drivers.StorageState
}

// PlacementOf says what the node gives to the volume, whatever its policy is.
func PlacementOf(v Volume, tiers []Tier, cluster Cluster, name string) Placement {
	if !v.Known {
		return Placement{Locality: NotKnown}
	}
	var placement Placement
	for _, r := range v.Location.Replicas {
		if r.State == drivers.InSync {
			placement.add(r.Node, v.ID.Provisioner, cluster)
		}
	}
	placement.Holds = slices.Contains(placement.Serving, name) ||
		slices.ContainsFunc(placement.NotServing, func(s NodeState) bool { return s.Node == name })
	if slices.Contains(placement.Serving, name) {
		placement.Locality = Local
		return placement
	}
	placement.Locality = Remote
	if tier := nearestOf(placement.Serving, tiers, cluster, name); tier >= 0 {
		placement.Locality, placement.Tier = Near, tiers[tier].Label
	}
	return placement
}

// add puts a node with an in-sync replica where it belongs.
func (p *Placement) add(name, provisioner string, cluster Cluster) {
	if _, exists := cluster.Node(name); !exists {
		p.Missing = append(p.Missing, name)
		return
	}
	if state := cluster.State(provisioner, name); !serves(state) {
		p.NotServing = append(p.NotServing, NodeState{Node: name, State: state})
		return
	}
	p.Serving = append(p.Serving, name)
}

// nearestOf is the nearest tier that the node shares with any of the nodes, or -1. A node that has gone since has no labels,
// and is near nothing.
func nearestOf(nodes []string, tiers []Tier, cluster Cluster, name string) int {
	view := Plan{tiers: tiers[:min(len(tiers), MaxTiers)]}
	positionAt := func(name string) position {
		node, _ := cluster.Node(name)
		return view.positionOf(node.Labels)
	}
	best, place := -1, positionAt(name)
	for _, name := range nodes {
		other := positionAt(name)
		if shared := nearest(len(view.tiers), &place, &other); shared >= 0 && (best < 0 || shared < best) {
			best = shared
		}
	}
	return best
}
