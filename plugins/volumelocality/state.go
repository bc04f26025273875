// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/volumelocality"
	"roost.dev/roost/volumelocality/pools"
)

const stateKey fwk.StateKey = "roost.dev/" + Name

// cycleState is what PreFilter found out about a pod. It does not change afterwards, but for what is meant to
// happen once.
type cycleState struct {
	// volumes are those of the pod that have a location, whether it is known or not; their policy is not Ignored.
	volumes []volumelocality.Volume
	// origins say of each volume, in the same order, where the answer comes from.
	origins []origin
	// plan is nil where no volume counts.
	plan *volumelocality.Plan
	// attempt is the nodes in play.
	attempt volumelocality.Attempt
	// requests are what the pod's unbound claims need of a node's storage pools, and shortage what happens where they lack it.
	requests []*pools.Request
	shortage shortage
	// complaints are about annotations that could not be followed.
	complaints []error
}

// origin is the claim behind a volume, and the driver that says where the volume is; empty where none does.
type origin struct {
	claim, driver string
	// isSource says that the claim has no volume yet, and that this is the one which it will be copied from.
	isSource bool
}

// Clone returns the state itself: it does not change.
func (s *cycleState) Clone() fwk.StateData {
	return s
}

// readState returns what PreFilter wrote; false where it did not run for the pod.
func readState(state fwk.CycleState) (*cycleState, bool) {
	data, err := state.Read(stateKey)
	if err != nil {
		return nil, false
	}
	s, ok := data.(*cycleState)
	return s, ok
}
