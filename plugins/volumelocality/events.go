// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality"
)

// localityAnnotations say how a pod is placed.
var localityAnnotations = []string{volumelocality.PolicyAnnotation, volumelocality.WaitAnnotation}

// EventsToRegister are the events after which a pod may fit that the plugin rejected, or held to some nodes of which none
// fitted. In the second case what those nodes lacked is another plugin's to know, and its hints are asked too: room that is
// made, labels and taints that change are no events of ours. Where a volume's data is, is no event of Kubernetes: waiting
// brings the pod back then.
func (pl *VolumeLocality) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		// A data node comes. Taints are named, because for a plugin that names only Add the scheduler takes every change of
		// them for a reason to try again.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeTaint}, QueueingHintFn: pl.afterNode},
		// The pod itself asks for another policy. The in-tree NodeDeclaredFeatures is told of every change of a pod as well. Pods
		// that end are named as DefaultPreemption names them: of a pod that a plugin keeps out of the queue while its victims are
		// evicted, the queue asks the others' hints only at events that this plugin has named.
		{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Update | fwk.Delete}, QueueingHintFn: pl.afterPod},
		// A claim is made, bound, or asks for another policy.
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterClaim},
		// A claim's volume appears, or can be used on other nodes.
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolume, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterVolume},
		// A claim's class appears, or asks for another policy.
		{Event: fwk.ClusterEvent{Resource: fwk.StorageClass, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterClass},
		// The CSI driver that is to make a claim's volume registers on a node.
		{Event: fwk.ClusterEvent{Resource: fwk.CSINode, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterCSINode},
		// There is more room for a claim's volume.
		{Event: fwk.ClusterEvent{Resource: fwk.CSIStorageCapacity, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: pl.afterCapacity},
	}, nil
}

// afterNode queues the pod where the node is new and has data of it.
func (pl *VolumeLocality) afterNode(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, node, err := util.As[*corev1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a Node: %w", err)
	}
	if before != nil {
		return fwk.QueueSkip, nil
	}
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return fwk.Queue, err
	}
	return plugins.QueueIf(slices.ContainsFunc(pl.locate(pod, resolved).volumes, func(v volumelocality.Volume) bool {
		return v.Known && isInSync(v.Location, node.Name)
	})), nil
}

// afterPod queues the pod where it was changed itself.
func (pl *VolumeLocality) afterPod(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a Pod: %w", err)
	}
	return plugins.QueueIf(after != nil && after.UID == pod.UID && (before == nil || asksForAnother(before.Annotations, after.Annotations))), nil
}

// afterClaim queues the pod where the claim is its own.
func (pl *VolumeLocality) afterClaim(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.PersistentVolumeClaim](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a PersistentVolumeClaim: %w", err)
	}
	changed := before == nil || before.Spec.VolumeName != after.Spec.VolumeName || asksForAnother(before.Annotations, after.Annotations) ||
		storagehelpers.GetPersistentVolumeClaimClass(before) != storagehelpers.GetPersistentVolumeClaimClass(after)
	return plugins.QueueIf(changed && podvolumes.Uses(pod, after.Namespace, after.Name)), nil
}

// afterVolume queues the pod where the PersistentVolume belongs to one of its claims.
func (pl *VolumeLocality) afterVolume(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.PersistentVolume](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a PersistentVolume: %w", err)
	}
	ref := after.Spec.ClaimRef
	if ref == nil || !podvolumes.Uses(pod, ref.Namespace, ref.Name) {
		return fwk.QueueSkip, nil
	}
	return plugins.QueueIf(before == nil || before.Spec.ClaimRef == nil || before.Spec.ClaimRef.UID != ref.UID ||
		!equality.Semantic.DeepEqual(before.Spec.NodeAffinity, after.Spec.NodeAffinity)), nil
}

// afterClass queues the pod where the StorageClass is that of one of its claims.
func (pl *VolumeLocality) afterClass(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*storagev1.StorageClass](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a StorageClass: %w", err)
	}
	if before != nil && !asksForAnother(before.Annotations, after.Annotations) {
		return fwk.QueueSkip, nil
	}
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return fwk.Queue, err
	}
	return plugins.QueueIf(slices.ContainsFunc(resolved, func(v podvolumes.Volume) bool {
		return v.Claim != nil && storagehelpers.GetPersistentVolumeClaimClass(v.Claim) == after.Name
	})), nil
}

// afterCSINode queues the pod where the driver makes the volume of one of its claims and was not registered on the node before.
func (pl *VolumeLocality) afterCSINode(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*storagev1.CSINode](oldObj, newObj)
	if err != nil {
		return fwk.Queue, fmt.Errorf("event of a CSINode: %w", err)
	}
	isNew := func(driver string) bool { return plugins.Registers(before, after, driver) }
	if !slices.ContainsFunc(after.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return isNew(d.Name) }) {
		return fwk.QueueSkip, nil
	}
	return pl.queueIfUnbound(pod, func(class *storagev1.StorageClass) bool { return isNew(class.Provisioner) })
}

// queueIfUnbound queues the pod where a claim of it waits for a node, of a class that is meant.
func (pl *VolumeLocality) queueIfUnbound(pod *corev1.Pod, means func(*storagev1.StorageClass) bool) (fwk.QueueingHint, error) {
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return fwk.Queue, err
	}
	return plugins.QueueIf(slices.ContainsFunc(resolved, func(v podvolumes.Volume) bool {
		return v.Status == podvolumes.WaitingForConsumer && means(v.Class)
	})), nil
}

func isInSync(location drivers.Location, node string) bool {
	return slices.Contains(location.Replicas, drivers.Replica{Node: node, State: drivers.InSync})
}

// asksForAnother says that the annotations ask for another way to place pods.
func asksForAnother(before, after map[string]string) bool {
	return slices.ContainsFunc(localityAnnotations, func(key string) bool {
		was, had := before[key]
		is, has := after[key]
		return had != has || was != is
	})
}
