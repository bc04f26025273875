// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/csiserver"
)

// mounts are a pod's volumes of simstorage. It fails when a claim is not known, or not known to be bound, yet.
func (k *Kubelets) mounts(pod *corev1.Pod) ([]cluster.Attach, error) {
	var mounts []cluster.Attach
	for i := range pod.Spec.Volumes {
		source := pod.Spec.Volumes[i].PersistentVolumeClaim
		claim, err := k.claims.PersistentVolumeClaims(pod.Namespace).Get(source.ClaimName)
		if err != nil {
			return nil, fmt.Errorf("resolving a claim of pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		if claim.Spec.VolumeName == "" {
			return nil, fmt.Errorf("claim %s of the running pod %s/%s is not bound yet", source.ClaimName, pod.Namespace, pod.Name)
		}
		volume, err := k.volumes.Get(claim.Spec.VolumeName)
		if err != nil {
			return nil, fmt.Errorf("resolving claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
		csi := volume.Spec.CSI
		if csi == nil || csi.Driver != csiserver.DriverName {
			continue
		}
		sharing, readOnly := sharingOf(volume.Spec.AccessModes)
		mounts = append(mounts, cluster.Attach{
			Handle: csi.VolumeHandle, Node: pod.Spec.NodeName, Sharing: sharing,
			ReadOnly: readOnly || csi.ReadOnly || source.ReadOnly,
		})
	}
	return mounts, nil
}

// sharingOf reads a PersistentVolume's access modes as external-attacher does.
func sharingOf(modes []corev1.PersistentVolumeAccessMode) (sharing cluster.Sharing, readOnly bool) {
	many := slices.Contains(modes, corev1.ReadOnlyMany)
	one := slices.Contains(modes, corev1.ReadWriteOnce)
	switch {
	case slices.Contains(modes, corev1.ReadWriteMany):
		return cluster.Shared, false
	case many && one:
		return cluster.SingleWriter, false
	case many:
		return cluster.Shared, true
	default:
		return cluster.SingleNode, false
	}
}
