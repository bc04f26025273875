// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"iter"
	"slices"

	"roost.dev/roost/drivers"
)

const testProvisioner = "csi.example.com"

var testTiers = []Tier{
	{Label: "rack", Weight: 50},
	{Label: "zone", Weight: 25},
	{Label: "region", Weight: 10},
}

// testCluster is a cluster in memory: nodes with labels, and the storage states that are not Online.
type testCluster struct {
	nodes  []Node
	states map[string]drivers.StorageState
}

func (c testCluster) Node(name string) (Node, bool) {
	i := slices.IndexFunc(c.nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return c.nodes[i], true
}

func (c testCluster) State(_, node string) drivers.StorageState {
	return cmp.Or(c.states[node], drivers.Online)
}

func (c testCluster) all() iter.Seq[Node] {
	return slices.Values(c.nodes)
}

// node is a node with rack, zone and region; an empty one is a label that it does not have.
func node(name, rack, zone, region string) Node {
	labels := map[string]string{}
	for key, value := range map[string]string{"rack": rack, "zone": zone, "region": region} {
		if value != "" {
			labels[key] = value
		}
	}
	return Node{Name: name, Labels: labels}
}

// volume is a Preferred volume with in-sync replicas on the nodes.
func volume(handle string, nodes ...string) Volume {
	v := Volume{ID: drivers.VolumeID{Provisioner: testProvisioner, Handle: handle}, Policy: Preferred, Known: true, Share: 1}
	for _, n := range nodes {
		v.Location.Replicas = append(v.Location.Replicas, drivers.Replica{Node: n, State: drivers.InSync})
	}
	return v
}

func (v Volume) with(policy Policy) Volume {
	v.Policy = policy
	return v
}

func (v Volume) pinned() Volume {
	v.Location.Pinned = true
	return v
}

func (v Volume) and(node string, state drivers.ReplicaState) Volume {
	v.Location.Replicas = append(slices.Clone(v.Location.Replicas), drivers.Replica{Node: node, State: state})
	return v
}

func (v Volume) attached(nodes ...string) Volume {
	v.Location.AttachedTo = nodes
	return v
}

// scores are all nodes' scores, in the cluster's order.
func scores(plan *Plan, c testCluster) []int64 {
	var got []int64
	for n := range c.all() {
		got = append(got, plan.Score(n))
	}
	return got
}
