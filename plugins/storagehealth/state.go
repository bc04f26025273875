// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import fwk "k8s.io/kube-scheduler/framework"

const (
	stateKey     fwk.StateKey = "roost.dev/" + Name
	penaltiesKey fwk.StateKey = "roost.dev/" + Name + "/penalties"
)

// storage is a storage system that a pod has volumes of.
type storage struct {
	provisioner string
	// registers says that its CSI driver has to be registered on the node.
	registers bool
}

// cycleState is what PreFilter found out about a pod. Only the waiter, which is safe for concurrent use, changes afterwards.
type cycleState struct {
	storages []storage
	waiter   *waiter
}

// Clone returns the state itself.
func (s *cycleState) Clone() fwk.StateData {
	return s
}

// penalties are what feasible nodes lose, by name; those that are not in it lose nothing. They do not change once written.
type penalties map[string]int64

// Clone returns the penalties themselves.
func (p penalties) Clone() fwk.StateData {
	return p
}

// readState returns what PreFilter wrote; false where it skipped the pod.
func readState(state fwk.CycleState) (*cycleState, bool) {
	data, err := state.Read(stateKey)
	if err != nil {
		return nil, false
	}
	s, ok := data.(*cycleState)
	return s, ok
}
