// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// Reserve promises the pod's unbound claims their room on the node. The room may have gone since Filter: another scheduler has
// selected the node for a claim, or the pool has shrunk.
func (pl *VolumeLocality) Reserve(_ context.Context, state fwk.CycleState, pod *corev1.Pod, node string) *fwk.Status {
	s, ok := readState(state)
	if !ok || len(s.requests) == 0 {
		return nil
	}
	if !pl.pools.Memory().Assume(pod.UID, node, s.requests...) {
		pl.waitForRoom(s, pod)
		return fwk.NewStatus(fwk.Unschedulable, ErrReasonNoRoom)
	}
	pl.roomless.forget(pod.UID)
	return nil
}

// Unreserve takes the promise back, and forgets the level of a pod that found a node and did not get it, so that it begins
// with its data nodes again.
//
// A pod of a scheduling group does so whenever another one of the group found none. It keeps its level: otherwise those that
// widen in turn would never all have a node at once.
func (pl *VolumeLocality) Unreserve(_ context.Context, state fwk.CycleState, pod *corev1.Pod, _ string) {
	if pod.Spec.SchedulingGroup == nil {
		pl.levels.forget(pod.UID)
	}
	if s, ok := readState(state); ok && len(s.requests) > 0 {
		pl.pools.Memory().Release(pod.UID, s.requests...)
	}
}
