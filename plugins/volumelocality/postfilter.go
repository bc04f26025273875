// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/volumelocality"
)

// PostFilter is asked when no node in play fits. A pod that waits for its data nodes goes on waiting. Another is tried on
// more nodes at once. Both stop the chain, so that nobody is preempted only to be local. When nothing is left to widen,
// preemption has its turn: ours where the pod is bound to its data nodes, otherwise the in-tree plugin's.
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
		if s.attempt.All {
			return nil, fwk.NewStatus(fwk.Unschedulable, whyPending(s, statuses)...)
		}
		return pl.makeRoom(ctx, state, pod, statuses, whyPending(s, statuses)...)
	}
	next := s.attempt.Level + 1
	switch tried := anyTried(s.attempt.Nodes, statuses); {
	case !tried:
		next = volumelocality.LevelAll
	case s.until.After(pl.clock.Now()):
		pl.alarms.set(pod, s.until)
		if !pl.exists(pod) {
			pl.alarms.forget(pod.UID)
		}
		return pl.makeRoom(ctx, state, pod, statuses, whyPending(s, statuses)...)
	}
	switch {
	case s.lacked != "":
		pl.notes.set(pod.UID, s.lacked)
	case s.attempt.Level == volumelocality.LevelData:
		pl.notes.set(pod.UID, whatLacks(s.attempt.Nodes, statuses))
	}
	pl.remember(pod, next)
	logger := klog.FromContext(ctx)
	logger.V(4).Info("No node in play fits; widening", "pod", klog.KObj(pod), "level", next)
	pl.activate(logger, pod)
	return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, reasonWidening)
}

// makeRoom preempts on the nodes in play, where the profile preempts. Where that does not help it stops the chain: the
// in-tree plugin would look at the same nodes again.
//
// A pod with resource claims is left to the chain, which frees an idle claim before it evicts anybody.
func (pl *VolumeLocality) makeRoom(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader, why ...string,
) (*fwk.PostFilterResult, *fwk.Status) {
	if !pl.profile(ctx).preempts || len(pod.Spec.ResourceClaims) > 0 {
		return nil, fwk.NewStatus(fwk.Unschedulable, why...)
	}
	result, status := pl.evictor.preempt(ctx, state, pod, statuses)
	if !status.IsRejected() {
		return result, status
	}
	return result, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, why...)
}

// remember keeps the level for the pod's next attempt, unless the pod was deleted during this one: then nobody would come
// to forget it.
func (pl *VolumeLocality) remember(pod *corev1.Pod, level volumelocality.Level) {
	pl.levels.set(pod.UID, level)
	if !pl.exists(pod) {
		pl.levels.forget(pod.UID)
		pl.notes.take(pod.UID)
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
