// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// ErrReasonNotDataNode is used where Required keeps the pod off the node.
const ErrReasonNotDataNode = "node(s) had no in-sync replica of every volume whose locality is Required"

// Filter keeps a pod with Required volumes on its data nodes. PreFilter's result does so already, except for a nominated
// node, which the scheduler tries without it.
func (pl *VolumeLocality) Filter(_ context.Context, state fwk.CycleState, _ *corev1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, ok := readState(state)
	if !ok || s.plan == nil || s.plan.Allows(info.Node().Name) {
		return nil
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonNotDataNode)
}
