// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/internal/podvolumes"
)

// SignPod is how our plugins sign a pod for opportunistic batching, which gives a pod the nodes that the scheduler has
// found for the pod before it (KEP-5598). None of them has a say about a pod without claims. Pods with claims are not
// signed: the storage behind two claims differs, and the storage behind one changes without word to the scheduler.
func SignPod(pod *corev1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	if podvolumes.HasClaims(pod) {
		return nil, fwk.NewStatus(fwk.Unschedulable, "pods with claims are not signable")
	}
	return nil, nil
}
