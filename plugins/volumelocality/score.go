// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/volumelocality"
)

// PreScore looks up the feasible nodes whose storage is not well, so that Score has nothing to ask.
func (pl *VolumeLocality) PreScore(_ context.Context, state fwk.CycleState, _ *corev1.Pod, infos []fwk.NodeInfo) *fwk.Status {
	s, ok := readState(state)
	if !ok || s.plan == nil {
		return fwk.NewStatus(fwk.Skip)
	}
	names := make([]string, 0, len(infos))
	for _, info := range infos {
		names = append(names, info.Node().Name)
	}
	state.Write(impairedStateKey, &impairedState{impaired: s.plan.Impaired(names, pl.cluster())})
	return nil
}

// Score returns what the node is worth, 0 to 100.
func (pl *VolumeLocality) Score(_ context.Context, state fwk.CycleState, _ *corev1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	s, ok := readState(state)
	if !ok || s.plan == nil {
		return 0, nil
	}
	var impaired volumelocality.Impaired
	if data, err := state.Read(impairedStateKey); err == nil {
		impaired = data.(*impairedState).impaired
	}
	return s.plan.Score(nodeOf(info), impaired), nil
}

// ScoreExtensions is nil: scores are 0 to 100 as they are, and to stretch them would make a far node look near.
func (pl *VolumeLocality) ScoreExtensions() fwk.ScoreExtensions {
	return nil
}
