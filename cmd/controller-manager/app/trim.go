// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trim takes out of objects what no loop and no driver reads, before the informers keep them. What is not an
// object of the API server, a tombstone, holds one that was trimmed when it came.
func trim(object any) (any, error) {
	if described, ok := object.(metav1.Object); ok {
		described.SetManagedFields(nil)
		delete(described.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	}
	switch object := object.(type) {
	case *corev1.Pod:
		trimPod(object)
	case *corev1.Node:
		object.Status.Images = nil
	}
	return object, nil
}

func trimPod(pod *corev1.Pod) {
	spec, status := &pod.Spec, &pod.Status
	// The command lines of a DaemonSet's pods tell which of them are CSI node plugins.
	owner := metav1.GetControllerOf(pod)
	commands := owner != nil && owner.Kind == "DaemonSet"
	pod.Spec = corev1.PodSpec{
		NodeName:                      spec.NodeName,
		Volumes:                       spec.Volumes,
		NodeSelector:                  spec.NodeSelector,
		Affinity:                      spec.Affinity,
		Tolerations:                   spec.Tolerations,
		Priority:                      spec.Priority,
		TerminationGracePeriodSeconds: spec.TerminationGracePeriodSeconds,
		InitContainers:                trimContainers(spec.InitContainers, commands),
		Containers:                    trimContainers(spec.Containers, commands),
		EphemeralContainers:           trimEphemeral(spec.EphemeralContainers),
	}
	pod.Status = corev1.PodStatus{Phase: status.Phase, Conditions: status.Conditions, StartTime: status.StartTime}
}

func trimContainers(containers []corev1.Container, commands bool) []corev1.Container {
	for i := range containers {
		old := &containers[i]
		kept := corev1.Container{Name: old.Name, VolumeMounts: old.VolumeMounts, VolumeDevices: old.VolumeDevices}
		if commands {
			kept.Command, kept.Args = old.Command, old.Args
			kept.Env = slices.DeleteFunc(old.Env, func(variable corev1.EnvVar) bool { return variable.ValueFrom != nil })
		}
		containers[i] = kept
	}
	return containers
}

func trimEphemeral(containers []corev1.EphemeralContainer) []corev1.EphemeralContainer {
	for i := range containers {
		old := &containers[i].EphemeralContainerCommon
		containers[i] = corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: old.Name, VolumeMounts: old.VolumeMounts, VolumeDevices: old.VolumeDevices,
		}}
	}
	return containers
}
