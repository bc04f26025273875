// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/volumelocality"
)

const (
	// ErrReasonNotKnown is used where the storage system does not say where a Required volume is.
	ErrReasonNotKnown = "the storage system does not say, or has not said for too long, where a volume is whose locality is Required"
	// ErrReasonNoDataNode is used where no node may run the pod.
	ErrReasonNoDataNode = "no node has an in-sync replica of every volume whose locality is Required"
	// ErrReasonNoSuchNode is used where the storage system calls the nodes by other names than Kubernetes does.
	ErrReasonNoSuchNode = ErrReasonNoDataNode + ": replicas are on nodes that do not exist in the cluster"
)

// PreFilter resolves the pod's volumes and narrows the nodes in play to those that the pod is to try now.
func (pl *VolumeLocality) PreFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	if !podvolumes.HasClaims(pod) && !isMigrationTarget(pod) {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	moving := pl.moveOf(pod)
	s := pl.locate(pod, pl.withAttached(resolved, moving))
	s.leave(moving)
	if s.requests, err = pl.requestsOf(resolved); err != nil {
		return nil, fwk.AsStatus(err)
	}
	if len(s.requests) > 0 {
		s.shortage = &shortage{}
	}
	state.Write(stateKey, s)
	if isRequiredUnknown(s.volumes) {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonNotKnown)
	}
	s.plan = volumelocality.NewPlan(s.volumes, pl.tiers, pl.cluster())
	switch {
	case s.plan == nil && len(s.requests) == 0:
		return nil, fwk.NewStatus(fwk.Skip)
	case s.plan == nil:
		return nil, nil
	}
	s.attempt = pl.attemptOf(ctx, pod, s, nodes)
	if s.attempt.All {
		return nil, nil
	}
	if len(s.attempt.Nodes) == 0 {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, whyNoNode(s))
	}
	klog.FromContext(ctx).V(4).Info("Narrowed the nodes in play", "level", s.attempt.Level, "nodes", len(s.attempt.Nodes))
	return &fwk.PreFilterResult{NodeNames: sets.New(s.attempt.Nodes...)}, nil
}

// PreFilterExtensions is nil: pods that come and go in a dry run of preemption do not move data.
func (pl *VolumeLocality) PreFilterExtensions() fwk.PreFilterExtensions {
	return nil
}

func isRequiredUnknown(volumes []volumelocality.Volume) bool {
	for i := range volumes {
		if volumes[i].Policy == volumelocality.Required && !volumes[i].Known {
			return true
		}
	}
	return false
}

func whyNoNode(s *cycleState) string {
	switch {
	case s.plan.MissingNodes() > 0:
		return ErrReasonNoSuchNode
	case s.leaving != "":
		return ErrReasonNoOtherNode
	default:
		return ErrReasonNoDataNode
	}
}
