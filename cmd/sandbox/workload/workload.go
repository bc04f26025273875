// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
)

// Name is the StatefulSet's name, and its pods' label app.
const Name = "db"

// Workload is the StatefulSet of a namespace.
type Workload struct {
	Client    client.Client
	Namespace string
}

// Deploy makes the namespace with the StatefulSet, whose pods a scheduler places. The pods are all made at once, and change
// only when they are deleted.
func (w Workload) Deploy(ctx context.Context, scheduler string, replicas int32) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	if err := w.Client.Create(ctx, namespace); err != nil {
		return fmt.Errorf("creating namespace %s: %w", w.Namespace, err)
	}
	if err := w.Client.Create(ctx, w.statefulSet(scheduler, replicas)); err != nil {
		return fmt.Errorf("creating StatefulSet %s/%s: %w", w.Namespace, Name, err)
	}
	return nil
}

func (w Workload) statefulSet(scheduler string, replicas int32) *appsv1.StatefulSet {
	labels := map[string]string{"app": Name}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: Name},
		Spec: appsv1.StatefulSetSpec{
			Replicas:            ptr.To(replicas),
			Selector:            &metav1.LabelSelector{MatchLabels: labels},
			PodManagementPolicy: appsv1.ParallelPodManagement,
			UpdateStrategy:      appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			Template:            corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: PodSpec(scheduler)},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: volume},
				Spec:       ClaimSpec(),
			}},
		},
	}
}

// volume is the name of the pods' volume, and the claims' names begin with it.
const volume = "data"

// PodSpec is a pod that writes to its volume, which is still to be named.
func PodSpec(scheduler string) corev1.PodSpec {
	return corev1.PodSpec{
		SchedulerName:                 scheduler,
		TerminationGracePeriodSeconds: ptr.To(int64(0)),
		Containers: []corev1.Container{{
			Name:         Name,
			Image:        Name,
			Resources:    corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
			VolumeMounts: []corev1.VolumeMount{{Name: volume, MountPath: "/data"}},
		}},
	}
}

// ClaimSpec is a volume for one node, with two copies that every node may mount.
func ClaimSpec() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName: ptr.To(sandbox.StorageClass),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		},
	}
}

// Pods are those of the StatefulSet.
func (w Workload) Pods(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := w.Client.List(ctx, &pods, client.InNamespace(w.Namespace), client.MatchingLabels{"app": Name}); err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", w.Namespace, err)
	}
	return pods.Items, nil
}

// ClaimName is the pod's claim, empty where it has none.
func ClaimName(pod *corev1.Pod) string {
	for i := range pod.Spec.Volumes {
		if claim := pod.Spec.Volumes[i].PersistentVolumeClaim; claim != nil {
			return claim.ClaimName
		}
	}
	return ""
}
