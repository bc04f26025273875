// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"roost.dev/roost/internal/podvolumes"
)

// The labels of KubeVirt's pods, see
// https://github.com/kubevirt/kubevirt/blob/main/staging/src/kubevirt.io/api/core/v1/types.go
const (
	labelKubeVirt = "kubevirt.io"
	// kindLauncher is a pod that a virtual machine runs in, and kindAttachment one that holds its hotplugged disks.
	kindLauncher, kindAttachment = "virt-launcher", "hotplug-disk"
	// labelMachine has the UID of the virtual machine's instance.
	labelMachine = "kubevirt.io/created-by"
	// labelMigration has the UID of the live migration that made the pod.
	labelMigration = "kubevirt.io/migrationJobUID"
)

// ErrReasonNoOtherNode is used where a virtual machine's data is only where it is about to leave.
const ErrReasonNoOtherNode = ErrReasonNoDataNode + ", but for the node that the virtual machine leaves"

// move is a live migration, as far as it concerns the pod that it goes to.
type move struct {
	// from is the node that the virtual machine leaves; empty where the pod is no target of a live migration.
	from string
	// attachments are the pods that hold the disks which were hotplugged into the virtual machine.
	attachments []*corev1.Pod
}

// isMigrationTarget looks nothing up.
func isMigrationTarget(pod *corev1.Pod) bool {
	return pod.Labels[labelKubeVirt] == kindLauncher && pod.Labels[labelMigration] != "" && pod.Labels[labelMachine] != ""
}

// followsMachine says that the pod holds hotplugged disks. KubeVirt pins it to its virtual machine's node, by an affinity
// that is no name of a node, so that an attempt on the data nodes alone would be in vain.
func followsMachine(pod *corev1.Pod) bool {
	return pod.Labels[labelKubeVirt] == kindAttachment
}

// moveOf returns the live migration that the pod is the target of. Where its source is not found, because it has ended, or
// runs in another cluster, the pod is one like any other.
func (pl *VolumeLocality) moveOf(pod *corev1.Pod) move {
	if !isMigrationTarget(pod) {
		return move{}
	}
	source := sourceAmong(pl.podsWith(pod.Namespace, labels.Set{labelMachine: pod.Labels[labelMachine], labelKubeVirt: kindLauncher}))
	if source == nil {
		return move{}
	}
	attachments := slices.DeleteFunc(pl.podsWith(pod.Namespace, labels.Set{labelKubeVirt: kindAttachment}), func(attachment *corev1.Pod) bool {
		return !metav1.IsControlledBy(attachment, source)
	})
	return move{from: source.Spec.NodeName, attachments: attachments}
}

// sourceAmong is the pod that a virtual machine runs in, of all that are its own. The target of a migration that failed may
// be there yet; it is younger.
func sourceAmong(launchers []*corev1.Pod) *corev1.Pod {
	var source *corev1.Pod
	for _, pod := range launchers {
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		if source == nil || pod.CreationTimestamp.Before(&source.CreationTimestamp) {
			source = pod
		}
	}
	return source
}

// podsWith are the namespace's pods with the labels. Reading them can only fail where the informer has no index.
func (pl *VolumeLocality) podsWith(namespace string, set labels.Set) []*corev1.Pod {
	pods, err := pl.pods.Pods(namespace).List(set.AsSelectorPreValidated())
	if err != nil {
		return nil
	}
	return pods
}

// withAttached adds the disks that were hotplugged into the pod's virtual machine: they move with it, but KubeVirt mounts
// them in a pod of their own, which is made once the target runs. Those that cannot be followed are left out.
func (pl *VolumeLocality) withAttached(resolved []podvolumes.Volume, moving move) []podvolumes.Volume {
	for _, attachment := range moving.attachments {
		attached, err := pl.resolver.Resolve(attachment)
		if err != nil {
			continue
		}
		for i := range attached {
			known := func(v podvolumes.Volume) bool { return v.ClaimName == attached[i].ClaimName }
			if !slices.ContainsFunc(resolved, known) {
				resolved = append(resolved, attached[i])
			}
		}
	}
	return resolved
}

// leave takes what is on the node that the virtual machine moves off from where its volumes are.
func (s *cycleState) leave(moving move) {
	if moving.from == "" {
		return
	}
	s.leaving = moving.from
	for i := range s.volumes {
		s.volumes[i], s.origins[i].left = s.volumes[i].Leaving(moving.from)
	}
}
