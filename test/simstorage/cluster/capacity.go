// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import "slices"

// Capacity is the room for volumes of one class that can be mounted in one topology.
type Capacity struct {
	// AvailableBytes is the room for volumes together, and MaximumVolumeBytes for the largest one.
	AvailableBytes     int64
	MaximumVolumeBytes int64
}

// Capacity returns the room for volumes of the class. Volumes that any node can mount may be placed anywhere, so their
// room is the same in every topology; the others take up room in the topology itself.
func (c *Cluster) Capacity(class Class, segments Segments) (Capacity, error) {
	if err := segments.validate(); err != nil {
		return Capacity{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var all, local []int64
	for _, n := range c.nodes {
		if !n.healthy() {
			continue
		}
		free := c.free(n.name)
		all = append(all, free)
		if segments.matches(n) {
			local = append(local, free)
		}
	}
	// Without as many nodes as replicas no volume fits anywhere.
	if len(all) < class.Replicas || class.Access == AccessReplicas && len(local) == 0 {
		return Capacity{}, nil
	}
	slices.Sort(all)
	largest := all[len(all)-class.Replicas]
	if class.Access == AccessReplicas {
		return Capacity{AvailableBytes: sum(local), MaximumVolumeBytes: min(largest, slices.Max(local))}, nil
	}
	return Capacity{AvailableBytes: sum(all) / int64(class.Replicas), MaximumVolumeBytes: largest}, nil
}

func sum(values []int64) int64 {
	total := int64(0)
	for _, value := range values {
		total += value
	}
	return total
}
