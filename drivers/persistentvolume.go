// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import corev1 "k8s.io/api/core/v1"

// The provisioners of volumes that have no CSI driver are the names of the kubelet's own volume plugins.
const (
	// LocalVolume is the provisioner of local volumes.
	LocalVolume = "kubernetes.io/local-volume"
	// HostPath is the provisioner of hostPath volumes.
	HostPath = "kubernetes.io/host-path"
)

// VolumeOf identifies the volume that a PersistentVolume stands for: by the CSI source, or for local and hostPath
// volumes, which have no identifier of their own, by the PersistentVolume's name. It is false for every other source.
func VolumeOf(pv *corev1.PersistentVolume) (VolumeID, bool) {
	switch source := pv.Spec.PersistentVolumeSource; {
	case source.CSI != nil:
		return VolumeID{Provisioner: source.CSI.Driver, Handle: source.CSI.VolumeHandle}, true
	case source.Local != nil:
		return VolumeID{Provisioner: LocalVolume, Handle: pv.Name}, true
	case source.HostPath != nil:
		return VolumeID{Provisioner: HostPath, Handle: pv.Name}, true
	default:
		return VolumeID{}, false
	}
}
