// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// world is what is known, by the objects' names.
type world struct {
	pods         map[string]*corev1.Pod
	attachments  map[string]*storagev1.VolumeAttachment
	storageNodes map[string]*storagev1alpha1.StorageNode
}

// conditions say whether a moment has come. That of the fault is the caller's to say.
var conditions = [moments]func(*world, *Failure) bool{
	Verdict: verdictGiven,
	Evicted: func(w *world, f *Failure) bool {
		pod := w.pod(f)
		return pod == nil || pod.DeletionTimestamp != nil
	},
	Gone:     func(w *world, f *Failure) bool { return w.pod(f) == nil },
	Detached: func(w *world, f *Failure) bool { return w.attachment(f.Volume, f.Node) == nil },
	Bound: func(w *world, f *Failure) bool {
		successor := w.successor(f)
		return successor != nil && successor.Spec.NodeName != ""
	},
	Started: started,
	Running: func(w *world, f *Failure) bool {
		return started(w, f) && w.attached(f.Volume, w.successor(f).Spec.NodeName)
	},
}

func verdictGiven(w *world, f *Failure) bool {
	state := w.state(f.Provisioner, f.Node)
	return state == storagev1alpha1.HealthUnhealthy || state == storagev1alpha1.HealthFailedOver
}

func started(w *world, f *Failure) bool {
	successor := w.successor(f)
	return successor != nil && successor.Status.Phase == corev1.PodRunning
}

// pod is the one that is followed, nil when it is gone.
func (w *world) pod(f *Failure) *corev1.Pod {
	if pod := w.pods[f.Pod]; pod != nil && pod.UID == f.UID {
		return pod
	}
	return nil
}

// successor is the pod in its place, nil while there is none.
func (w *world) successor(f *Failure) *corev1.Pod {
	if pod := w.pods[f.Pod]; pod != nil && pod.UID != f.UID {
		return pod
	}
	return nil
}

func (w *world) attachment(volume, node string) *storagev1.VolumeAttachment {
	for _, attachment := range w.attachments {
		if attachment.Spec.NodeName == node && ptr.Deref(attachment.Spec.Source.PersistentVolumeName, "") == volume {
			return attachment
		}
	}
	return nil
}

func (w *world) attached(volume, node string) bool {
	attachment := w.attachment(volume, node)
	return attachment != nil && attachment.Status.Attached
}

func (w *world) state(provisioner, node string) storagev1alpha1.HealthState {
	for _, storageNode := range w.storageNodes {
		if storageNode.Spec.Provisioner == provisioner && storageNode.Spec.NodeName == node {
			return storageNode.Status.State
		}
	}
	return ""
}
