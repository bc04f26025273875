// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/podvolumes"
)

// Pods are those that use some claims. Pods that have ended are none of them.
type Pods struct {
	// Running have a node. As long as there is one, the claims may be written to.
	Running []corev1.Pod
	// Waiting have no node.
	Waiting []corev1.Pod
}

// Pods reads from the API server which pods of the namespace use one of the claims.
func (w *Workloads) Pods(ctx context.Context, namespace string, claims []string) (Pods, error) {
	list := &corev1.PodList{}
	if err := w.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return Pods{}, fmt.Errorf("listing pods of %s: %w", namespace, err)
	}
	var pods Pods
	for _, pod := range list.Items {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		switch {
		case ended || !uses(&pod, claims):
		case pod.Spec.NodeName != "":
			pods.Running = append(pods.Running, pod)
		default:
			pods.Waiting = append(pods.Waiting, pod)
		}
	}
	return pods, nil
}

func uses(pod *corev1.Pod, claims []string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		name := podvolumes.ClaimName(pod, &volume)
		return name != "" && slices.Contains(claims, name)
	})
}

// Describe tells a person whose the pods are, as "2 pods of StatefulSet db, pod shell".
func Describe(pods []corev1.Pod) string {
	count := map[string]int{}
	var parts []string
	for i := range pods {
		owner := metav1.GetControllerOfNoCopy(&pods[i])
		if owner == nil {
			parts = append(parts, "pod "+pods[i].Name)
			continue
		}
		count[owner.Kind+" "+owner.Name]++
	}
	var owned []string
	for _, owner := range slices.Sorted(maps.Keys(count)) {
		noun := "pods"
		if count[owner] == 1 {
			noun = "pod"
		}
		owned = append(owned, fmt.Sprintf("%d %s of %s", count[owner], noun, owner))
	}
	return strings.Join(append(owned, parts...), ", ")
}
