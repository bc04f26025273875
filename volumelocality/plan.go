// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"

	"roost.dev/roost/drivers"
)

// MaxTiers is how many topology labels a plan can tell apart. It bounds the work of a score.
const MaxTiers = 8

// Tier is a level of the cluster's topology: nodes with the same value of the label are near each other.
type Tier struct {
	// Label is a node label, for example topology.kubernetes.io/rack.
	Label string
	// Weight is the score, 0 to 99, of a node that shares the label's value with an in-sync replica.
	Weight int64
}

// Volume is a pod's volume as placement sees it.
type Volume struct {
	// ID identifies the volume.
	ID drivers.VolumeID
	// Policy is the volume's policy.
	Policy Policy
	// Known says that Location can be relied on.
	Known bool
	// Location is where the volume is.
	Location drivers.Location
	// Share is the volume's share in the mean of all volumes' scores. At least 1.
	Share int64
}

// Node is a cluster node as placement sees it.
type Node struct {
	// Name is the Node object's name.
	Name string
	// Labels are its labels.
	Labels map[string]string
}

// Cluster answers for the nodes of one scheduling cycle.
type Cluster interface {
	// Node is false where there is no such node.
	Node(name string) (Node, bool)
	// State is how the provisioner's storage is on the node.
	State(provisioner, node string) drivers.StorageState
}

// Plan is what placement needs to know of one pod's volumes. It does not change once made.
type Plan struct {
	tiers []Tier
	// volumes are those that count: their policy is not Ignored and their location is known.
	volumes []planned
	// required are the nodes that every Required volume allows.
	required allowed
	// usable are the nodes that every volume which is Required, or Preferred and pinned, allows.
	usable allowed
	// local are the nodes to try first, and origins the topology positions that they are at.
	local   []string
	origins []position
	// missing counts the in-sync replicas of Required volumes that are on nodes which do not exist.
	missing int
}

// allowed is a set of nodes where volumes bound it, also to none; otherwise it is all nodes.
type allowed struct {
	bounded bool
	nodes   []string
}

func (a allowed) has(node string) bool {
	return !a.bounded || slices.Contains(a.nodes, node)
}

// planned is a volume with what placement needs looked up.
type planned struct {
	Volume
	// inSync are the existing nodes with an in-sync replica.
	inSync []string
	// serving are those of them whose storage serves from it, as far as is known.
	serving []string
	// places are the distinct topology positions of the serving nodes. Nothing is near to a replica that does not serve.
	places []position
}

// position is a node's value of each tier's label; empty where it has none.
type position [MaxTiers]string

// NewPlan looks up what the volumes' replicas need to know of the cluster. A replica on a node that does not exist does
// not count. It returns nil where no volume counts.
func NewPlan(volumes []Volume, tiers []Tier, cluster Cluster) *Plan {
	plan := &Plan{tiers: tiers[:min(len(tiers), MaxTiers)]}
	for _, v := range volumes {
		if v.Policy == Ignored || !v.Known {
			continue
		}
		plan.volumes = append(plan.volumes, plan.look(v, cluster))
	}
	if len(plan.volumes) == 0 {
		return nil
	}
	plan.required = plan.common(func(v *planned) ([]string, bool) { return v.inSync, v.Policy == Required })
	plan.usable = plan.common(func(v *planned) ([]string, bool) {
		return v.inSync, v.Policy == Required || v.Policy == Preferred && v.Location.Pinned
	})
	if len(plan.usable.nodes) == 0 {
		// Pinned volumes without a node in common: that is for the in-tree plugins to say, in their words.
		plan.usable = plan.required
	}
	plan.local = plan.nodesToTryFirst()
	for _, name := range plan.local {
		node, _ := cluster.Node(name)
		plan.origins = append(plan.origins, plan.positionOf(node.Labels))
	}
	return plan
}

func (p *Plan) look(v Volume, cluster Cluster) planned {
	looked := planned{Volume: v}
	for _, r := range v.Location.Replicas {
		if r.State != drivers.InSync {
			continue
		}
		node, exists := cluster.Node(r.Node)
		if !exists {
			if v.Policy == Required {
				p.missing++
			}
			continue
		}
		looked.inSync = append(looked.inSync, r.Node)
		if !serves(cluster.State(v.ID.Provisioner, r.Node)) {
			continue
		}
		looked.serving = append(looked.serving, r.Node)
		if place := p.positionOf(node.Labels); !slices.Contains(looked.places, place) {
			looked.places = append(looked.places, place)
		}
	}
	return looked
}

func serves(state drivers.StorageState) bool {
	switch state {
	case drivers.StorageDown, drivers.Maintenance, drivers.Offline:
		return false
	case drivers.Unknown, drivers.Online, drivers.Degraded:
	}
	return true
}

func (p *Plan) positionOf(labels map[string]string) position {
	var place position
	for i, tier := range p.tiers {
		place[i] = labels[tier.Label]
	}
	return place
}

// nodesToTryFirst serve all volumes that are Required or Preferred. Where no node does, and none is bound to any, they are
// the nodes that serve any.
func (p *Plan) nodesToTryFirst() []string {
	serving := func(v *planned) ([]string, bool) { return v.serving, v.Policy != Avoid }
	local := slices.DeleteFunc(p.common(serving).nodes, func(node string) bool { return !p.usable.has(node) })
	if len(local) > 0 || p.usable.bounded {
		return local
	}
	for i := range p.volumes {
		if nodes, counts := serving(&p.volumes[i]); counts {
			local = append(local, nodes...)
		}
	}
	slices.Sort(local)
	return slices.Compact(local)
}

// common are the nodes that every volume which counts has; all nodes where none counts.
func (p *Plan) common(nodesOf func(*planned) (nodes []string, counts bool)) allowed {
	var common allowed
	for i := range p.volumes {
		nodes, counts := nodesOf(&p.volumes[i])
		switch {
		case !counts:
		case !common.bounded:
			common = allowed{bounded: true, nodes: slices.Clone(nodes)}
		default:
			common.nodes = slices.DeleteFunc(common.nodes, func(node string) bool { return !slices.Contains(nodes, node) })
		}
	}
	return common
}

// RequiredNodes are the only nodes that the pod may run on, where a volume's policy is Required; false where none is.
func (p *Plan) RequiredNodes() ([]string, bool) {
	return p.required.nodes, p.required.bounded
}

// DataNodes are the nodes to try first: they serve all volumes that are Required or Preferred. Where no node does, and no
// volume is bound to its nodes, they serve any of them.
func (p *Plan) DataNodes() []string {
	return p.local
}

// Allows says whether Required volumes let the pod run on the node.
func (p *Plan) Allows(node string) bool {
	return p.required.has(node)
}

// MissingNodes is how many in-sync replicas of Required volumes are on nodes that do not exist.
func (p *Plan) MissingNodes() int {
	return p.missing
}
