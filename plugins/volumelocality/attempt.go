// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"hash/fnv"
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/volumelocality"
)

// attemptOf returns the nodes that are in play now.
func (pl *VolumeLocality) attemptOf(ctx context.Context, pod *corev1.Pod, s *cycleState, nodes []fwk.NodeInfo) volumelocality.Attempt {
	if !pl.narrows(ctx) || followsMachine(pod) {
		required, isRequired := s.plan.RequiredNodes()
		return volumelocality.Attempt{Level: volumelocality.LevelAll, All: !isRequired, Nodes: required}
	}
	attempt := s.plan.NodesAt(pl.levels.of(pod.UID), seedOf(pod.UID), eachNode(nodes))
	pl.hold(pod, s, attempt.Level)
	if s.until.IsZero() && pl.profile(ctx).fits {
		attempt = pl.passOverFull(pod, s, attempt, nodes)
	}
	return attempt
}

// passOverFull returns the first attempt from this one on that has a node with room for what the pod requests. To try one
// without would cost an event, a write of the pod's status and another cycle, only to hear that.
func (pl *VolumeLocality) passOverFull(pod *corev1.Pod, s *cycleState, attempt volumelocality.Attempt, nodes []fwk.NodeInfo) volumelocality.Attempt {
	infos := pl.handle.SnapshotSharedLister().NodeInfos()
	for attempt.Level < volumelocality.LevelAll {
		full := whatIsFull(pod, attempt.Nodes, infos)
		if full == nil {
			break
		}
		if attempt.Level == volumelocality.LevelData {
			s.lacked = countedReasons(full)
		}
		attempt = s.plan.NodesAt(attempt.Level+1, seedOf(pod.UID), eachNode(nodes))
	}
	return attempt
}

// seedOf spreads pods over tiers that have more nodes than an attempt looks at.
func seedOf(uid types.UID) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(uid))
	return hash.Sum64()
}

func eachNode(infos []fwk.NodeInfo) iter.Seq[volumelocality.Node] {
	return func(yield func(volumelocality.Node) bool) {
		for _, info := range infos {
			if !yield(nodeOf(info)) {
				return
			}
		}
	}
}
