// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podvolumes

import corev1 "k8s.io/api/core/v1"

// Uses says that the claim of this namespace and name stands behind one of the pod's volumes, without looking it up.
func Uses(pod *corev1.Pod, namespace, claim string) bool {
	if namespace != pod.Namespace || claim == "" {
		return false
	}
	for i := range pod.Spec.Volumes {
		if ClaimName(pod, &pod.Spec.Volumes[i]) == claim {
			return true
		}
	}
	return false
}
