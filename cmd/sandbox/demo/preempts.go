// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/volumelocality"
)

const (
	// batchPriority is the class of pods that make room for those of the story, and batchNamespace where they are.
	batchPriority  = "batch"
	batchNamespace = "batch"
)

// preempts fills the data nodes of one pod with pods of a lower priority, one without storage and one beside its own data,
// and makes the pod anew with the policy Required.
func (s *story) preempts(ctx context.Context) error {
	pod, dataNodes, err := s.firstPod(ctx)
	if err != nil {
		return err
	}
	if err := s.setPolicy(ctx, roostNamespace, volumelocality.Required); err != nil {
		return err
	}
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: batchPriority}, Value: -100}
	if err := s.client.Create(ctx, class); err != nil {
		return fmt.Errorf("creating priority class %s: %w", class.Name, err)
	}
	lesser := func(pod *corev1.Pod) { pod.Namespace, pod.Spec.PriorityClassName = batchNamespace, batchPriority }
	if err := s.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: batchNamespace}}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", batchNamespace, err)
	}
	stateless, err := s.fill(ctx, dataNodes[:1], lesser)
	if err != nil {
		return err
	}
	defer func() { s.remove(context.WithoutCancel(ctx), stateless) }()
	claim, err := s.batchClaim(ctx, dataNodes[1])
	if err != nil {
		return err
	}
	stateful, err := s.fill(ctx, dataNodes[1:], lesser, mounting(claim.Name))
	if err != nil {
		return err
	}
	defer func() { s.remove(context.WithoutCancel(ctx), stateful) }()
	s.screen.Line("  %s and %s are full of pods with a lower priority: one without storage, one beside its own data.", dataNodes[0], dataNodes[1])
	if err := s.client.Delete(ctx, pod); err != nil {
		return fmt.Errorf("deleting pod %s: %w", pod.Name, err)
	}
	node, err := s.waitForNode(ctx, pod)
	if err != nil {
		return err
	}
	kept := s.client.Get(ctx, client.ObjectKeyFromObject(stateful[0]), stateful[0]) == nil && stateful[0].DeletionTimestamp == nil
	s.verdict(node == dataNodes[0] && kept, "the pod without storage made room: %s runs on %s", pod.Name, node)
	return nil
}

// batchClaim makes a claim with its data on the node.
func (s *story) batchClaim(ctx context.Context, node string) (*corev1.PersistentVolumeClaim, error) {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: batchNamespace, Name: "data", Annotations: map[string]string{storagehelpers.AnnSelectedNode: node},
		},
		Spec: workload.ClaimSpec(),
	}
	if err := s.client.Create(ctx, claim); err != nil {
		return nil, fmt.Errorf("creating claim %s: %w", claim.Name, err)
	}
	err := s.poll(ctx, func(ctx context.Context) (bool, error) {
		// An error is that the volume is not there yet.
		volumes, err := s.workloadIn(batchNamespace).Volumes(ctx)
		return err == nil && slices.Contains(volumes[claim.Name].Nodes, node), nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for the data of claim %s on %s: %w", claim.Name, node, err)
	}
	return claim, nil
}

// mounting has a pod mount a claim.
func mounting(claim string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}}
	}
}
