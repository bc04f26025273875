// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/podvolumes"
)

// annotationContainer is kubectl's.
const annotationContainer = "kubectl.kubernetes.io/default-container"

// match gives the pods of a hook by name, whatever state they are in, as the API server has them.
func (r *Runner) match(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, hook *snapshotv1alpha1.Hook) ([]corev1.Pod, error) {
	options := []client.ListOption{client.InNamespace(snapshot.Namespace)}
	if hook.PodSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(hook.PodSelector)
		if err != nil {
			return nil, refusef("hook %q: podSelector: %w", hook.Name, err)
		}
		options = append(options, client.MatchingLabelsSelector{Selector: selector})
	}
	list := &corev1.PodList{}
	if err := r.client.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("hook %q: listing pods of namespace %s: %w", hook.Name, snapshot.Namespace, err)
	}
	pods := list.Items
	if hook.PodSelector == nil {
		pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return !uses(&pod, snapshot.Status.Members) })
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods, nil
}

func uses(pod *corev1.Pod, members []snapshotv1alpha1.SnapshotMember) bool {
	for i := range pod.Spec.Volumes {
		name := podvolumes.ClaimName(pod, &pod.Spec.Volumes[i])
		if name != "" && slices.ContainsFunc(members, func(m snapshotv1alpha1.SnapshotMember) bool { return m.ClaimName == name }) {
			return true
		}
	}
	return false
}

// isReady says that a command can be run in the pod, and that its application is up. A pod that is being deleted may end at
// any moment.
func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning &&
		slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
			return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
		})
}

// containerOf gives the container that a hook runs in.
func containerOf(pod *corev1.Pod, hook *snapshotv1alpha1.Hook) (string, error) {
	wanted := cmp.Or(hook.Container, pod.Annotations[annotationContainer])
	if wanted == "" && len(pod.Spec.Containers) > 0 {
		return pod.Spec.Containers[0].Name, nil
	}
	isWanted := func(container corev1.Container) bool { return container.Name == wanted }
	isSidecar := func(container corev1.Container) bool {
		return isWanted(container) && container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
	}
	if slices.ContainsFunc(pod.Spec.Containers, isWanted) || slices.ContainsFunc(pod.Spec.InitContainers, isSidecar) {
		return wanted, nil
	}
	return "", refusef("hook %q: pod %s has no container %q", hook.Name, pod.Name, wanted)
}

// statusOf gives the status of a container, or nil: simulated clusters may have none.
func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == container {
				return &statuses[i]
			}
		}
	}
	return nil
}

// startedAnew says that the container is not the one that was there when the freeze began, or no longer runs.
func startedAnew(pod *corev1.Pod, then *snapshotv1alpha1.FrozenPod) bool {
	now := statusOf(pod, then.Container)
	switch {
	case now == nil:
		return then.ContainerID != ""
	case now.State.Terminated != nil:
		return true
	case then.ContainerID != "":
		return now.ContainerID != then.ContainerID
	default:
		return now.RestartCount != then.RestartCount
	}
}

// hasEnded says that no container of the pod runs, or will again.
func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
