// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restoregate

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/plugins"
)

// EventsToRegister are the events after which a pod that is held may go. A claim that is deleted lets nobody go: a restore
// makes it again, under the same name, and without it the pod could not run.
func (pl *RestoreGate) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterClaim},
	}, nil
}

// afterClaim queues the pod where one of its claims is not being restored any more, or is there again without being restored.
func (pl *RestoreGate) afterClaim(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.PersistentVolumeClaim](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a PersistentVolumeClaim: %w", err)
	}
	if after == nil || isRestoring(after) || before != nil && !isRestoring(before) {
		return fwk.QueueSkip, nil
	}
	return plugins.QueueIf(podvolumes.Uses(pod, after.Namespace, after.Name)), nil
}

func isRestoring(claim *corev1.PersistentVolumeClaim) bool {
	_, ok := claim.Annotations[snapshotv1alpha1.AnnotationRestoring]
	return ok
}
