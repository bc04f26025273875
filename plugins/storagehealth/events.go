// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/plugins"
)

// EventsToRegister are the events after which a pod that the plugin kept off nodes may fit. That storage is well again is no
// event of Kubernetes: waiting brings the pod back then. A claim's class and a volume's driver never change.
func (pl *StorageHealth) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		// A CSI driver registers on a node.
		{Event: fwk.ClusterEvent{Resource: fwk.CSINode, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterCSINode},
		// A node comes. One whose driver has yet to register is told of by its CSINode. Taints are named, because for a plugin
		// that names only Add the scheduler takes every change of them for a reason to try again.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeTaint}, QueueingHintFn: pl.afterNode},
		// A claim is made again, of another class.
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add}, QueueingHintFn: pl.afterClaimAdded},
	}, nil
}

// afterCSINode queues the pod where the CSI driver of one of its volumes is listed that was not listed before.
func (pl *StorageHealth) afterCSINode(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*storagev1.CSINode](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a CSINode: %w", err)
	}
	isNew := func(driver string) bool { return plugins.Registers(before, after, driver) }
	if !slices.ContainsFunc(after.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return isNew(d.Name) }) {
		return fwk.QueueSkip, nil
	}
	storages, err := pl.storagesOf(pod)
	if err != nil {
		return fwk.Queue, err
	}
	return plugins.QueueIf(slices.ContainsFunc(storages, func(s storage) bool { return isNew(s.provisioner) })), nil
}

// afterNode queues the pod where the node is new and the storage of all its volumes works there.
func (pl *StorageHealth) afterNode(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, node, err := util.As[*corev1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a Node: %w", err)
	}
	if before != nil {
		return fwk.QueueSkip, nil
	}
	storages, err := pl.storagesOf(pod)
	if err != nil {
		return fwk.Queue, err
	}
	return plugins.QueueIf(!slices.ContainsFunc(storages, func(s storage) bool {
		return s.registers && !pl.isRegistered(s.provisioner, node.Name) ||
			pl.health.faultOf(part{provisioner: s.provisioner, node: node.Name}) != noFault
	})), nil
}

// afterClaimAdded queues the pod where the claim is its own.
func (pl *StorageHealth) afterClaimAdded(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	_, claim, err := util.As[*corev1.PersistentVolumeClaim](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a PersistentVolumeClaim: %w", err)
	}
	return plugins.QueueIf(podvolumes.Uses(pod, claim.Namespace, claim.Name)), nil
}
