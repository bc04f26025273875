// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"time"

	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/volumelocality"
	"roost.dev/roost/volumelocality/pools"
)

const stateKey fwk.StateKey = "roost.dev/" + Name

// cycleState is what PreFilter found out about a pod. It does not change afterwards, but for what is meant to
// happen once.
type cycleState struct {
	// since is when the storage was asked, as waiting counts.
	since uint64
	// volumes are those of the pod that have a location, whether it is known or not; their policy is not Ignored.
	volumes []volumelocality.Volume
	// origins say of each volume, in the same order, where the answer comes from.
	origins []origin
	// plan is nil where no volume counts.
	plan *volumelocality.Plan
	// attempt is the nodes in play.
	attempt volumelocality.Attempt
	// wait is the longest that a Preferred volume has the pod wait for its data nodes.
	wait time.Duration
	// until is when that wait is over, where this attempt is held to the data nodes for it; otherwise zero.
	until time.Time
	// lacked is what the data nodes lack, where they were passed over because all are full.
	lacked string
	// requests are what the pod's unbound claims need of a node's storage pools, and shortage what happens where they lack it.
	requests []*pools.Request
	shortage *shortage
	// complaints are about annotations that could not be followed.
	complaints []error
	// leaving is the node that the pod's virtual machine moves off; empty for all other pods.
	leaving string
}

// origin is the claim behind a volume, and the driver that says where the volume is; empty where none does.
type origin struct {
	claim, driver string
	// isSource says that the claim has no volume yet, and that this is the one which it will be copied from.
	isSource bool
	// left says that the node which the pod's virtual machine leaves has an in-sync replica.
	left bool
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
