// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"

	"roost.dev/roost/drivers"
)

// What a node is worth to one volume, 0 to 100. The gap between a replica and the tiers lets a replica win, and the
// gap for an attachment lets the node win that saves a detach and an attach.
const (
	scoreMax               = 100
	scoreAttachedElsewhere = 95
	scoreRebuilding        = 60
)

// Score is the mean of what the node is worth to each volume that counts, 0 to 100. It allocates nothing. How the storage
// is on the node is no part of it: StorageHealth takes off for that.
func (p *Plan) Score(node Node) int64 {
	place := p.positionOf(node.Labels)
	var total, shares int64
	for i := range p.volumes {
		v := &p.volumes[i]
		score := p.worth(v, node.Name, &place)
		if v.Policy == Avoid {
			score = scoreMax - score
		}
		total += score * v.Share
		shares += v.Share
	}
	return total / shares
}

func (p *Plan) worth(v *planned, node string, place *position) int64 {
	for _, r := range v.Location.Replicas {
		if r.Node != node {
			continue
		}
		switch {
		case r.State == drivers.InSync && v.attachedOnlyTo(node):
			return scoreMax
		case r.State == drivers.InSync:
			return scoreAttachedElsewhere
		case r.State == drivers.Rebuilding:
			return scoreRebuilding
		}
	}
	var best int64
	for i := range v.places {
		if tier := nearest(len(p.tiers), place, &v.places[i]); tier >= 0 {
			best = max(best, p.tiers[tier].Weight)
		}
	}
	return best
}

func (v *planned) attachedOnlyTo(node string) bool {
	return len(v.Location.AttachedTo) == 0 || slices.Contains(v.Location.AttachedTo, node)
}

// nearest returns the nearest tier that two positions share, or -1. A missing label skips its tier. Labels are not
// unique by themselves (every zone may have a rack "r1"), so a tier is shared only where no wider one differs.
func nearest(tiers int, a, b *position) int {
	shared := -1
	for i := tiers - 1; i >= 0; i-- {
		switch {
		case a[i] == "" || b[i] == "":
		case a[i] == b[i]:
			shared = i
		default:
			return shared
		}
	}
	return shared
}
