// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality/pools"
)

// afterCapacity queues the pod where the object is of the class of one of its unbound claims, and is new or tells of more room
// than before.
func (pl *VolumeLocality) afterCapacity(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*storagev1.CSIStorageCapacity](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a CSIStorageCapacity: %w", err)
	}
	if before != nil && !pools.Grown(before, after) {
		return fwk.QueueSkip, nil
	}
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return fwk.Queue, err
	}
	return plugins.QueueIf(slices.ContainsFunc(pl.needsOf(resolved), func(n need) bool { return n.class == after.StorageClassName })), nil
}
