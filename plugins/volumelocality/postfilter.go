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

	"roost.dev/roost/volumelocality"
)

// reasonWidening is in a pod's status between two attempts. watchPods looks for it.
const reasonWidening = "none of the nodes nearest to its data fits, trying more nodes next"

// PostFilter widens the nodes in play after an attempt that found none, and brings the pod back at once. It then stops the
// chain, so that nobody is preempted only to be local; when nothing is left to widen, the chain goes on.
func (pl *VolumeLocality) PostFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	s, ok := readState(state)
	if ok {
		pl.waiting.note(klog.FromContext(ctx), pod, s)
	}
	if !ok || s.plan == nil || rejectedAsWhole(statuses) {
		pl.levels.forget(pod.UID)
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	if s.attempt.Level >= volumelocality.LevelAll {
		pl.levels.forget(pod.UID)
		return nil, fwk.NewStatus(fwk.Unschedulable, whyNotRequired(s, statuses)...)
	}
	next := s.attempt.Level + 1
	if !anyTried(s.attempt.Nodes, statuses) {
		next = volumelocality.LevelAll
	}
	pl.remember(pod, next)
	logger := klog.FromContext(ctx)
	logger.V(4).Info("No node in play fits; widening", "pod", klog.KObj(pod), "level", next)
	pl.activate(logger, pod)
	return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, reasonWidening)
}

// remember keeps the level for the pod's next attempt, unless the pod was deleted during this one: then nobody would come
// to forget it.
func (pl *VolumeLocality) remember(pod *corev1.Pod, level volumelocality.Level) {
	pl.levels.set(pod.UID, level)
	if current, err := pl.pods.Pods(pod.Namespace).Get(pod.Name); err != nil || current.UID != pod.UID {
		pl.levels.forget(pod.UID)
	}
}

// anyTried says that a node in play got as far as a filter. Where none did, another plugin's PreFilter left other nodes
// than ours (a DaemonSet's pod has one node), and only all nodes can have one in common.
func anyTried(nodes []string, statuses fwk.NodeToStatusReader) bool {
	return slices.ContainsFunc(nodes, func(node string) bool { return statuses.Get(node).Plugin() != "" })
}

// rejectedAsWhole says that another plugin's PreFilter rejected the pod itself, for a reason that more nodes do not mend.
// The framework then gives that plugin's status to every node; otherwise the nodes out of play have one of no plugin.
func rejectedAsWhole(statuses fwk.NodeToStatusReader) bool {
	return statuses.Get("").Plugin() != ""
}

// whyNotRequired tells what the data nodes of a pod with Required volumes lack.
func whyNotRequired(s *cycleState, statuses fwk.NodeToStatusReader) []string {
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
