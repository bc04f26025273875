// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/ptr"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
)

// Prover has proof that a node can no longer write to a volume. A drivers.Registry is one.
type Prover interface {
	Fenced(id drivers.VolumeID, node string) (drivers.Fence, bool)
}

// proven says whether the node can no longer write to any volume of the pod, and else for which there is no proof. The given
// ones are those that have claims.
func proven(prover Prover, node *corev1.Node, pod *corev1.Pod, volumes []podvolumes.Volume) (bool, string) {
	for i := range volumes {
		v := &volumes[i]
		if v.PV == nil || !provenVolume(prover, node, v.PV) {
			return false, fmt.Sprintf("nothing proves that %s can no longer write to the volume of claim %s", node.Name, v.ClaimName)
		}
	}
	if name := otherStorage(pod); name != "" && !declaredOut(node) {
		return false, fmt.Sprintf("volume %s of the pod is storage without a claim, of which no storage system can say that %s no longer writes to it",
			name, node.Name)
	}
	return true, ""
}

// otherStorage names a volume of the pod without a claim that is neither the node's own nor made from the API server: NFS,
// iSCSI, RBD, CephFS, inline CSI and the like. Drivers know volumes by their PersistentVolumes, and these have none.
func otherStorage(pod *corev1.Pod) string {
	i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim == nil && v.Ephemeral == nil && v.EmptyDir == nil && v.HostPath == nil && v.ConfigMap == nil &&
			v.Secret == nil && v.DownwardAPI == nil && v.Projected == nil && v.Image == nil
	})
	if i < 0 {
		return ""
	}
	return pod.Spec.Volumes[i].Name
}

// provenVolume takes the storage system's word, or a person's. Time that has passed is no proof, and neither is an access
// mode: ReadOnlyMany is what a volume can do, and nothing keeps a node from writing to it.
func provenVolume(prover Prover, node *corev1.Node, pv *corev1.PersistentVolume) bool {
	if declaredOut(node) {
		return true
	}
	id, ok := drivers.VolumeOf(pv)
	if !ok {
		return false
	}
	_, fenced := prover.Fenced(id, node.Name)
	return fenced
}

// declaredOut says that a person, or another program that fenced the node, has put the out-of-service taint on it: by
// KEP-2268 the word of someone who knows that the node is off. On a node that is Ready it is a taint that was forgotten.
func declaredOut(node *corev1.Node) bool {
	if !dead(node) {
		return false
	}
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
		return taint.Key == corev1.TaintNodeOutOfService && !isOurs(taint)
	})
}

// dead says that the node is not Ready: its kubelet is gone, or is not able to end a pod.
func dead(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status != corev1.ConditionTrue
		}
	}
	return true
}

// guarded says that no second writer can come to be when the pod is asked to leave a node that does not answer: its
// controller makes no other before it is gone, or attach-detach lets no second node have its volumes.
func guarded(csiDrivers storagelisters.CSIDriverLister, pod *corev1.Pod, volumes []podvolumes.Volume) bool {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "StatefulSet" {
		return true
	}
	if otherStorage(pod) != "" {
		return false
	}
	for i := range volumes {
		pv := volumes[i].PV
		if pv == nil || pv.Spec.CSI == nil || !oneNodeAtATime(pv) {
			return false
		}
		if driver, err := csiDrivers.Get(pv.Spec.CSI.Driver); err == nil && !ptr.Deref(driver.Spec.AttachRequired, true) {
			return false
		}
	}
	return true
}

func oneNodeAtATime(pv *corev1.PersistentVolume) bool {
	return len(pv.Spec.AccessModes) > 0 && !slices.ContainsFunc(pv.Spec.AccessModes, func(mode corev1.PersistentVolumeAccessMode) bool {
		return mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod
	})
}

// provisionersOf are the CSI drivers of the volumes, each once.
func provisionersOf(volumes []podvolumes.Volume) []string {
	var names []string
	for i := range volumes {
		if name := volumes[i].ID.Provisioner; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
