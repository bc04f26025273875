// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/volumelocality"
)

// required fills the data nodes of one pod, makes the pod anew with the policy Required, and makes room again.
func (s *story) required(ctx context.Context) error {
	pod, dataNodes, err := s.firstPod(ctx)
	if err != nil {
		return err
	}
	if err := s.setPolicy(ctx, roostNamespace, volumelocality.Required); err != nil {
		return err
	}
	fillers, err := s.fill(ctx, dataNodes)
	if err != nil {
		return err
	}
	defer s.remove(context.WithoutCancel(ctx), fillers)
	s.screen.Line("  %s has its data on %s; both are full now.", pod.Name, strings.Join(dataNodes, " and "))
	if err := s.client.Delete(ctx, pod); err != nil {
		return fmt.Errorf("deleting pod %s: %w", pod.Name, err)
	}
	reason, err := s.waitForReason(ctx, pod)
	if err != nil {
		return err
	}
	s.verdict(strings.Contains(reason, string(volumelocality.Required)), "%s is pending. The scheduler says why:", pod.Name)
	s.screen.Line("%s", wrapped(reason, 90, "          "))

	room := fillers[0].Spec.NodeName
	s.remove(ctx, fillers[:1])
	node, err := s.waitForNode(ctx, pod)
	if err != nil {
		return err
	}
	s.verdict(node == room, "room is made on %s, and %s runs on %s", room, pod.Name, node)
	return nil
}

// firstPod is the StatefulSet's first pod and the nodes with its data.
func (s *story) firstPod(ctx context.Context) (*corev1.Pod, []string, error) {
	pod := &corev1.Pod{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: roostNamespace, Name: workload.Name + "-0"}, pod); err != nil {
		return nil, nil, fmt.Errorf("reading the first pod: %w", err)
	}
	volumes, err := s.workloadIn(roostNamespace).Volumes(ctx)
	if err != nil {
		return nil, nil, err
	}
	return pod, volumes[workload.ClaimName(pod)].Nodes, nil
}

// setPolicy writes the policy into the StatefulSet's template. Pods that run keep what they have.
func (s *story) setPolicy(ctx context.Context, namespace string, policy volumelocality.Policy) error {
	return s.annotate(ctx, namespace, volumelocality.PolicyAnnotation, string(policy))
}

func (s *story) annotate(ctx context.Context, namespace, annotation, value string) error {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: workload.Name}}
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, annotation, value)
	if err := s.client.Patch(ctx, set, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("setting annotation %s to %s: %w", annotation, value, err)
	}
	return s.poll(ctx, func(ctx context.Context) (bool, error) {
		err := s.client.Get(ctx, client.ObjectKeyFromObject(set), set)
		return err == nil && set.Status.ObservedGeneration == set.Generation, err
	})
}

// fill takes all CPU of the nodes, with a pod on each that no scheduler had to place.
func (s *story) fill(ctx context.Context, names []string, options ...func(*corev1.Pod)) ([]*corev1.Pod, error) {
	var fillers []*corev1.Pod
	for _, name := range names {
		node := &corev1.Node{}
		if err := s.client.Get(ctx, client.ObjectKey{Name: name}, node); err != nil {
			return nil, fmt.Errorf("reading node %s: %w", name, err)
		}
		filler := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: roostNamespace, Name: "filler-" + name},
			Spec: corev1.PodSpec{
				NodeName:                      name,
				TerminationGracePeriodSeconds: ptr.To(int64(0)),
				Containers: []corev1.Container{{
					Name:  "filler",
					Image: "filler",
					Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
						corev1.ResourceCPU: node.Status.Allocatable[corev1.ResourceCPU],
					}},
				}},
			},
		}
		for _, option := range options {
			option(filler)
		}
		if err := s.client.Create(ctx, filler); err != nil {
			return nil, fmt.Errorf("filling node %s: %w", name, err)
		}
		fillers = append(fillers, filler)
	}
	return fillers, nil
}

// remove makes room again. A pod that is gone already is what was wanted, and one that stays shows in what follows.
func (s *story) remove(ctx context.Context, pods []*corev1.Pod) {
	for _, pod := range pods {
		_ = s.client.Delete(ctx, pod)
	}
}

// waitForReason waits until the pod's successor is refused by the scheduler, and returns the reason.
func (s *story) waitForReason(ctx context.Context, old *corev1.Pod) (string, error) {
	reason := ""
	s.screen.Progress("waiting for the scheduler to refuse %s", old.Name)
	err := s.pollSuccessor(ctx, old, func(pod *corev1.Pod) (bool, error) {
		if pod.Spec.NodeName != "" {
			return false, fmt.Errorf("it was placed on %s, though its data nodes are full", pod.Spec.NodeName)
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable {
				reason = condition.Message
			}
		}
		return reason != "", nil
	})
	if err != nil {
		return "", fmt.Errorf("waiting for %s to be refused: %w", old.Name, err)
	}
	return reason, nil
}

// waitForNode waits until the pod's successor runs, and returns its node.
func (s *story) waitForNode(ctx context.Context, old *corev1.Pod) (string, error) {
	node := ""
	s.screen.Progress("waiting for %s to run", old.Name)
	err := s.pollSuccessor(ctx, old, func(pod *corev1.Pod) (bool, error) {
		node = pod.Spec.NodeName
		return pod.Status.Phase == corev1.PodRunning, nil
	})
	if err != nil {
		return "", fmt.Errorf("waiting for %s to run: %w", old.Name, err)
	}
	return node, nil
}

// pollSuccessor asks again for the pod that the StatefulSet made in the place of another.
func (s *story) pollSuccessor(ctx context.Context, old *corev1.Pod, condition func(*corev1.Pod) (bool, error)) error {
	return s.poll(ctx, func(ctx context.Context) (bool, error) {
		pod := &corev1.Pod{}
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(old), pod); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		if pod.UID == old.UID {
			return false, nil
		}
		return condition(pod)
	})
}

// wrapped breaks text into lines of at most width characters, each after indent.
func wrapped(text string, width int, indent string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, indent+line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, indent+line), "\n")
}
