// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// PreScore skips a pod of which no volume counts.
func (pl *VolumeLocality) PreScore(_ context.Context, state fwk.CycleState, _ *corev1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	if s, ok := readState(state); !ok || s.plan == nil {
		return fwk.NewStatus(fwk.Skip)
	}
	return nil
}

// Score returns what the node is worth, 0 to 100.
func (pl *VolumeLocality) Score(_ context.Context, state fwk.CycleState, _ *corev1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	s, ok := readState(state)
	if !ok || s.plan == nil {
		return 0, nil
	}
	return s.plan.Score(nodeOf(info)), nil
}

// ScoreExtensions is nil: scores are 0 to 100 as they are, and to stretch them would make a far node look near.
func (pl *VolumeLocality) ScoreExtensions() fwk.ScoreExtensions {
	return nil
}
