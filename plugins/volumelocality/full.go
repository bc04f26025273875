// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	corev1 "k8s.io/api/core/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	fwk "k8s.io/kube-scheduler/framework"
	v1helper "k8s.io/kubernetes/pkg/apis/core/v1/helper"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
)

// whatIsFull counts what the nodes lack of the resources that the pod requests, by the words of NodeResourcesFit. It is nil
// where any of the nodes may have room.
func whatIsFull(pod *corev1.Pod, nodes []string, infos fwk.NodeInfoLister) map[string]int {
	options := noderesources.ResourceRequestsOptions{EnablePodLevelResources: utilfeature.DefaultFeatureGate.Enabled(features.PodLevelResources)}
	counts := map[string]int{}
	for _, node := range nodes {
		info, err := infos.Get(node)
		if err != nil {
			continue
		}
		isFull := false
		for _, lack := range noderesources.Fits(pod, info, nil, options) {
			// An extended resource may be one that the profile ignores, or that a resource claim stands for.
			if !v1helper.IsExtendedResourceName(lack.ResourceName) {
				isFull = true
				counts[lack.Reason]++
			}
		}
		if !isFull {
			return nil
		}
	}
	return counts
}
