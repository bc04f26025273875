// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// EventReasonBadPolicy is the reason of the event about an annotation whose value is no policy.
	EventReasonBadPolicy = "UnknownLocalityPolicy"
	eventAction          = "Scheduling"
)

// PostBind forgets what was remembered for the pod, and tells its owner of annotations that could not be followed.
func (pl *VolumeLocality) PostBind(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, _ string) {
	pl.levels.forget(pod.UID)
	pl.waiting.forget(pod.UID)
	s, ok := readState(state)
	if !ok {
		return
	}
	recorder := pl.handle.EventRecorder().WithLogger(klog.FromContext(ctx))
	for _, complaint := range s.complaints {
		recorder.Eventf(pod, nil, corev1.EventTypeWarning, EventReasonBadPolicy, eventAction, "%s", complaint.Error())
	}
}
