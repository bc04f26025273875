// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trim drops what is not read, which is nearly all of every object.
func trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return trimPod(o), nil
	case *corev1.Node:
		return &corev1.Node{
			ObjectMeta: trimMeta(o.ObjectMeta, only(o.Labels, Label), only(o.Annotations, kwokAnnotation)),
			Status:     corev1.NodeStatus{VolumesInUse: o.Status.VolumesInUse},
		}, nil
	case *corev1.PersistentVolumeClaim:
		return &corev1.PersistentVolumeClaim{
			ObjectMeta: trimMeta(o.ObjectMeta, nil, nil),
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: o.Spec.VolumeName},
		}, nil
	case *corev1.PersistentVolume:
		return trimVolume(o), nil
	}
	return object, nil
}

func trimPod(pod *corev1.Pod) *corev1.Pod {
	trimmed := &corev1.Pod{
		ObjectMeta: trimMeta(pod.ObjectMeta, nil, only(pod.Annotations, HangsAnnotation)),
		Spec:       corev1.PodSpec{NodeName: pod.Spec.NodeName},
		Status:     corev1.PodStatus{Phase: pod.Status.Phase},
	}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if claim, readOnly := claimOf(pod.Name, v); claim != "" {
			trimmed.Spec.Volumes = append(trimmed.Spec.Volumes, corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim, ReadOnly: readOnly},
			}})
		}
	}
	return trimmed
}

func trimVolume(v *corev1.PersistentVolume) *corev1.PersistentVolume {
	trimmed := &corev1.PersistentVolume{
		ObjectMeta: trimMeta(v.ObjectMeta, nil, nil),
		Spec:       corev1.PersistentVolumeSpec{AccessModes: v.Spec.AccessModes},
	}
	if source := v.Spec.CSI; source != nil {
		trimmed.Spec.CSI = &corev1.CSIPersistentVolumeSource{
			Driver: source.Driver, VolumeHandle: source.VolumeHandle, ReadOnly: source.ReadOnly,
		}
	}
	return trimmed
}

func trimMeta(o metav1.ObjectMeta, labels, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		Labels: labels, Annotations: annotations,
	}
}

func only(m map[string]string, key string) map[string]string {
	value, ok := m[key]
	if !ok {
		return nil
	}
	return map[string]string{key: value}
}

// claimOf returns the name of the claim that a pod's volume is of, and "" when it is of none.
func claimOf(podName string, v *corev1.Volume) (name string, readOnly bool) {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName, v.PersistentVolumeClaim.ReadOnly
	case v.Ephemeral != nil:
		return podName + "-" + v.Name, false
	}
	return "", false
}
