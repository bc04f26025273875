// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// PreScore looks up what the feasible nodes lose, so that Score has nothing to ask. Where none loses anything, the plugin
// has no opinion.
func (pl *StorageHealth) PreScore(_ context.Context, state fwk.CycleState, _ *corev1.Pod, infos []fwk.NodeInfo) *fwk.Status {
	s, ok := readState(state)
	if !ok {
		return fwk.NewStatus(fwk.Skip)
	}
	lost := penalties{}
	for _, info := range infos {
		node := info.Node().Name
		if worst := pl.worst(s.storages, node); worst > 0 {
			lost[node] = worst
		}
	}
	if len(lost) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	state.Write(penaltiesKey, lost)
	return nil
}

// Score is 100 less what the node loses.
func (pl *StorageHealth) Score(_ context.Context, state fwk.CycleState, _ *corev1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := state.Read(penaltiesKey)
	if err != nil {
		return fwk.MaxScore, nil
	}
	lost, _ := data.(penalties)
	return fwk.MaxScore - lost[info.Node().Name], nil
}

// ScoreExtensions is nil: scores are 0 to 100 as they are, and to stretch them would make a small fault look like a large one.
func (pl *StorageHealth) ScoreExtensions() fwk.ScoreExtensions {
	return nil
}

// worst is the largest penalty of the pod's storage systems on the node: one that is bad is not made up for by another.
func (pl *StorageHealth) worst(storages []storage, node string) int64 {
	var worst int64
	for i := range storages {
		worst = max(worst, pl.penalty(part{provisioner: storages[i].provisioner, node: node}))
	}
	return worst
}

func (pl *StorageHealth) penalty(p part) int64 {
	known := pl.health.storageNodes.Of(p.provisioner, p.node)
	var penalty int32
	switch pl.health.storage(p, known) {
	case drivers.Degraded:
		penalty = pl.args.DegradedPenalty
	case drivers.StorageDown:
		penalty = pl.args.StorageDownPenalty
	case drivers.Unknown, drivers.Online, drivers.Maintenance, drivers.Offline:
	}
	if known.State == storagev1alpha1.HealthSuspect {
		penalty = max(penalty, pl.args.SuspectPenalty)
	}
	return int64(penalty)
}
