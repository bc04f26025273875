// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"

	"roost.dev/roost/drivers"
)

// Leaving is the volume as it counts for a pod that moves off the node: what is there is no reason to stay, and none to
// stay near it, as a node that is left often goes down next. had says that the node holds an in-sync replica. A volume to
// Avoid is returned as it is, for its replica stays where it was.
func (v Volume) Leaving(node string) (left Volume, had bool) {
	here := func(r drivers.Replica) bool { return r.Node == node }
	had = slices.ContainsFunc(v.Location.Replicas, func(r drivers.Replica) bool { return here(r) && r.State == drivers.InSync })
	if v.Policy == Avoid {
		return v, had
	}
	// The driver's slices are not ours to change.
	v.Location.Replicas = slices.DeleteFunc(slices.Clone(v.Location.Replicas), here)
	v.Location.AttachedTo = slices.DeleteFunc(slices.Clone(v.Location.AttachedTo), func(attached string) bool { return attached == node })
	return v, had
}
