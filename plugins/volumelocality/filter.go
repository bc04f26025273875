// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// ErrReasonNotDataNode is used where Required keeps the pod off the node.
	ErrReasonNotDataNode = "node(s) had no in-sync replica of every volume whose locality is Required"
	// ErrReasonNoRoom is used where each of the pod's claims may fit, but not all of them beside what others were promised.
	ErrReasonNoRoom = "node(s) did not have enough free storage for the pod's claims together, less what other claims were just promised"
)

// Filter keeps a pod with Required volumes on its data nodes, and off nodes without room for its claims. PreFilter's result does
// the former already, except for a nominated node, which the scheduler tries without it. No pod that is preempted would move
// data or give storage back.
func (pl *VolumeLocality) Filter(_ context.Context, state fwk.CycleState, pod *corev1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, ok := readState(state)
	if !ok {
		return nil
	}
	node := info.Node()
	if s.plan != nil && !s.plan.Allows(node.Name) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonNotDataNode)
	}
	if !pl.hasRoom(s, pod, node.Labels) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonNoRoom)
	}
	return nil
}
