// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// reasonWidening is what a pod's status says for the moment between two attempts.
const reasonWidening = "no node in play fits, more nodes are tried at once"

// PostFilter widens the nodes in play after an attempt that found none, and brings the pod back at once. It then stops the
// chain, so that nobody is preempted only to be local; when nothing is left to widen, the chain goes on.
func (pl *VolumeLocality) PostFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	s, ok := readState(state)
	if !ok || s.plan == nil || rejectedAsWhole(statuses) {
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	if s.attempt.Last {
		pl.levels.forget(pod.UID)
		return nil, fwk.NewStatus(fwk.Unschedulable, pl.whyNotRequired(s, statuses)...)
	}
	pl.levels.set(pod.UID, s.attempt.Level+1)
	logger := klog.FromContext(ctx)
	logger.V(4).Info("No node in play fits; widening", "pod", klog.KObj(pod), "level", s.attempt.Level+1)
	pl.handle.Activate(logger, map[string]*corev1.Pod{klog.KObj(pod).String(): pod})
	return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, reasonWidening)
}

// rejectedAsWhole says that another plugin's PreFilter rejected the pod itself, for a reason that more nodes do not mend.
// The framework then gives that plugin's status to every node; otherwise the nodes out of play have one of no plugin.
func rejectedAsWhole(statuses fwk.NodeToStatusReader) bool {
	return statuses.Get("").Plugin() != ""
}

// whyNotRequired tells what the data nodes of a pod with Required volumes lack.
func (pl *VolumeLocality) whyNotRequired(s *cycleState, statuses fwk.NodeToStatusReader) []string {
	required, isRequired := s.plan.RequiredNodes()
	if !isRequired {
		return nil
	}
	counts := map[string]int{}
	for _, node := range required {
		for _, reason := range statuses.Get(node).Reasons() {
			counts[reason]++
		}
	}
	lacks := make([]string, 0, len(counts))
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		lacks = append(lacks, fmt.Sprintf("%d %s", counts[reason], reason))
	}
	return []string{fmt.Sprintf("volume locality is Required, and of the %d node(s) with the data: %s", len(required), strings.Join(lacks, ", "))}
}
