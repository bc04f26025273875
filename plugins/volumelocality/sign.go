// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/plugins"
)

// SignPod does not sign the target of a live migration either, which may count disks that are no volumes of its own.
func (pl *VolumeLocality) SignPod(_ context.Context, pod *corev1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	if isMigrationTarget(pod) {
		return nil, fwk.NewStatus(fwk.Unschedulable, "targets of live migrations are not signable")
	}
	return plugins.SignPod(pod)
}
