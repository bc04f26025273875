// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

// fault is something that happens to a node.
type fault interface {
	// prepare makes the node what it is to be before.
	prepare(context.Context, victim) error
	// inject causes the fault.
	inject(context.Context, victim) error
	// heal takes everything back that the others did.
	heal(context.Context, victim) error
}

// offline has the node's storage serve no I/O, while the node lives.
type offline struct{ *bench }

func (f offline) prepare(context.Context, victim) error { return nil }

func (f offline) inject(ctx context.Context, v victim) error {
	return f.box.Sim.SetNodeState(ctx, v.Node, storagev1alpha1.StorageOffline, "pool sda: I/O error")
}

func (f offline) heal(ctx context.Context, v victim) error {
	return f.box.Sim.SetNodeState(ctx, v.Node, storagev1alpha1.StorageOnline, "")
}

// dead ends the node: its kubelet is silent, and the rest of the storage system does not hear from it.
type dead struct{ *bench }

func (f dead) prepare(context.Context, victim) error { return nil }

func (f dead) inject(ctx context.Context, v victim) error {
	if err := f.box.Sim.SetCutOff(ctx, v.Node, true); err != nil {
		return err
	}
	return f.box.KillKubelet(ctx, v.Node)
}

// heal waits until the node takes pods again.
func (f dead) heal(ctx context.Context, v victim) error {
	if err := errors.Join(f.box.Sim.SetCutOff(ctx, v.Node, false), f.box.ReviveKubelet(ctx, v.Node)); err != nil {
		return err
	}
	err := f.poll(ctx, patience, func(ctx context.Context) (bool, error) {
		node := &corev1.Node{}
		err := f.box.Client.Get(ctx, client.ObjectKey{Name: v.Node}, node)
		return err == nil && takesPods(node), err
	})
	if err != nil {
		return fmt.Errorf("waiting for node %s to be Ready again: %w", v.Node, err)
	}
	return nil
}

// unproven ends a node on which another volume is attached, too. The victim's volume alone is fenced. It needs a storage
// system that fences nothing by itself.
type unproven struct{ dead }

// prepare places a pod beside the victim that no controller made. Its volume is not fenced, and it is not moved.
func (f unproven) prepare(ctx context.Context, v victim) error {
	claim, pod := neighbour(v.Node)
	for _, object := range []client.Object{claim, pod} {
		if err := f.box.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	err := f.poll(ctx, patience, func(ctx context.Context) (bool, error) {
		if err := f.box.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return false, err
		}
		attached, err := f.attachedTo(ctx, v.Node, claim)
		return attached && pod.Status.Phase == corev1.PodRunning, err
	})
	if err != nil {
		return fmt.Errorf("waiting for pod %s beside the victim: %w", pod.Name, err)
	}
	return nil
}

func (f unproven) attachedTo(ctx context.Context, node string, claim *corev1.PersistentVolumeClaim) (bool, error) {
	if err := f.box.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
		return false, err
	}
	volumes, err := f.box.Sim.Volumes(ctx)
	for i := range volumes {
		if volumes[i].Name == claim.Spec.VolumeName {
			return len(volumes[i].Attached) == 1 && volumes[i].Attached[0] == node, nil
		}
	}
	return false, err
}

func (f unproven) inject(ctx context.Context, v victim) error {
	if err := f.dead.inject(ctx, v); err != nil {
		return err
	}
	return f.box.Sim.SetFence(ctx, v.handle, v.Node, true)
}

func (f unproven) heal(ctx context.Context, v victim) error {
	err := f.dead.heal(ctx, v)
	claim, pod := neighbour(v.Node)
	for _, object := range []client.Object{pod, claim} {
		err = errors.Join(err, client.IgnoreNotFound(f.box.Client.Delete(ctx, object)))
	}
	return err
}

// neighbour is a claim and a pod with it that can run on one node only. They are in a namespace of their own, so that they are
// none of the pods that are measured.
func neighbour(node string) (*corev1.PersistentVolumeClaim, *corev1.Pod) {
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "neighbour-" + node}
	pod := &corev1.Pod{ObjectMeta: meta, Spec: workload.PodSpec(sandbox.SchedulerName)}
	pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	pod.Spec.Volumes = []corev1.Volume{{
		Name: pod.Spec.Containers[0].VolumeMounts[0].Name,
		VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: meta.Name},
		},
	}}
	return &corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: workload.ClaimSpec()}, pod
}
