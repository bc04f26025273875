// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/verdict"
)

// errChanged says that the world is not any more what the step was chosen for. The next Advance chooses anew.
var errChanged = errors.New("the node or the pod changed meanwhile")

// errGone says that the pod is gone, or has another node, or has finished.
var errGone = errors.New("the pod is gone")

// brakeError says that a brake holds.
type brakeError struct{ brake verdict.Brake }

func (e brakeError) Error() string { return e.brake.Message }

// refusalError says that the pod has to stay after all.
type refusalError struct{ candidates.Refusal }

func (e refusalError) Error() string { return e.Message }

// target is a pod that a step is about, and what the step was chosen for.
type target struct {
	pod     *corev1.Pod
	volumes []podvolumes.Volume
	// nodeDead says that the pod's node is not Ready.
	nodeDead bool
}

// recheck reads the pod and its node from the API server, asks for the verdict and judges the pod anew, right before a write.
// It fails where any of them is not what the step was chosen for: many pods are moved in one round, and the node with the
// other copy may fail meanwhile.
func (m *Mover) recheck(ctx context.Context, job *Job, t target) (*corev1.Pod, *corev1.Node, error) {
	pod := t.pod
	live := &corev1.Pod{}
	if err := m.client.Get(ctx, client.ObjectKeyFromObject(pod), live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, errGone
		}
		return nil, nil, fmt.Errorf("reading pod %s: %w", client.ObjectKeyFromObject(pod), err)
	}
	if live.UID != pod.UID || live.Spec.NodeName != pod.Spec.NodeName || finished(live) {
		return nil, nil, errGone
	}
	node, err := m.readNode(ctx, pod.Spec.NodeName)
	if err != nil {
		return nil, nil, err
	}
	if dead(node) != t.nodeDead {
		return nil, nil, errChanged
	}
	if brake, may := job.MayMove(node.Name, provisionersOf(t.volumes)); !may {
		return nil, nil, brakeError{brake: brake}
	}
	refusal, err := job.Judge(live)
	if err != nil {
		return nil, nil, fmt.Errorf("judging pod %s: %w", client.ObjectKeyFromObject(pod), err)
	}
	if refusal.Reason != "" {
		return nil, nil, refusalError{refusal}
	}
	return live, node, nil
}

func (m *Mover) readNode(ctx context.Context, name string) (*corev1.Node, error) {
	node := &corev1.Node{}
	if err := m.client.Get(ctx, types.NamespacedName{Name: name}, node); err != nil {
		return nil, fmt.Errorf("reading node %s: %w", name, err)
	}
	return node, nil
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
