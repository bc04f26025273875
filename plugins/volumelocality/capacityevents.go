// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"
)

// afterCapacity queues the pod where the pool is of the class of one of its claims and has more room than before.
func (pl *VolumeLocality) afterCapacity(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*storagev1.CSIStorageCapacity](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a CSIStorageCapacity: %w", err)
	}
	if before != nil && !grew(before.Capacity, after.Capacity) && !grew(before.MaximumVolumeSize, after.MaximumVolumeSize) {
		return fwk.QueueSkip, nil
	}
	return pl.queueIfUnbound(pod, func(class *storagev1.StorageClass) bool { return class.Name == after.StorageClassName })
}

// grew is false where nothing is said of the size any more.
func grew(before, after *resource.Quantity) bool {
	return after != nil && (before == nil || after.Cmp(*before) > 0)
}
