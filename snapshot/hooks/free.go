// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// isFree says in its error which other ApplicationSnapshot still has one of the pods frozen. What this process froze itself
// Freeze knows better; this is about what a predecessor left. Where a thaw was given up, it is tried once more: to freeze again
// what may be frozen still would be for nothing, and a person who has thawed it by hand has to tell nobody.
func (r *Runner) isFree(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, pods []snapshotv1alpha1.FrozenPod) error {
	others := &snapshotv1alpha1.ApplicationSnapshotList{}
	// They are many, and only read.
	if err := r.memory.List(ctx, others, client.InNamespace(snapshot.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing ApplicationSnapshots of namespace %s: %w", snapshot.Namespace, err)
	}
	var left []*snapshotv1alpha1.ApplicationSnapshot
	for i := range others.Items {
		other := &others.Items[i]
		if other.UID == snapshot.UID || sharedPod(other, pods, mayBeFrozen) == nil {
			continue
		}
		live := &snapshotv1alpha1.ApplicationSnapshot{}
		if err := r.client.Get(ctx, client.ObjectKeyFromObject(other), live); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("getting ApplicationSnapshot %s: %w", other.Name, err)
		}
		if NeedsThaw(&live.Status) {
			if pod := sharedPod(live, pods, mayBeFrozen); pod != nil {
				return fmt.Errorf("pod %s: %w: %s", pod.Name, ErrBusy, other.Name)
			}
		}
		left = append(left, live)
	}
	if len(left) == 0 {
		return nil
	}
	return r.thawLeft(ctx, left, &snapshotv1alpha1.Freeze{RunID: "before " + string(snapshot.UID), Pods: pods})
}

// thawLeft thaws what others gave up. No other run of this process has the pods meanwhile: it would be thawed.
func (r *Runner) thawLeft(ctx context.Context, others []*snapshotv1alpha1.ApplicationSnapshot, ours *snapshotv1alpha1.Freeze) error {
	if taken := r.reserve(ours); taken != "" {
		return fmt.Errorf("pod %s: %w", taken, ErrBusy)
	}
	defer r.release(ours)
	for _, other := range others {
		if other.Status.Freeze == nil {
			continue
		}
		for i := range other.Status.Freeze.Pods {
			pod := &other.Status.Freeze.Pods[i]
			if !wasLeft(pod) || !slices.ContainsFunc(ours.Pods, func(planned snapshotv1alpha1.FrozenPod) bool { return isSame(&planned, pod) }) {
				continue
			}
			if err := r.thawLeftPod(ctx, other, pod); err != nil {
				return fmt.Errorf("pod %s: %w: %s could not thaw it, and it cannot be thawed now (hook %q: %w): thaw it by hand, or start its container anew",
					pod.Name, ErrBusy, other.Name, pod.Hook, err)
			}
		}
	}
	return nil
}

func (r *Runner) thawLeftPod(ctx context.Context, other *snapshotv1alpha1.ApplicationSnapshot, pod *snapshotv1alpha1.FrozenPod) error {
	if !isOfSpec(other.Spec.Hooks, pod) {
		return errors.New("its journal does not have the thaw of spec.hooks")
	}
	in := target{pod: types.NamespacedName{Namespace: other.Namespace, Name: pod.Name}, container: pod.Container}
	output, err := r.exec(ctx, in, orDefault(pod.Timeout, DefaultTimeout), pod.Thaw)
	if err != nil {
		return said(err, output)
	}
	return nil
}

// mayBeFrozen says that another snapshot may have frozen the pod, or left it frozen.
func mayBeFrozen(other *snapshotv1alpha1.ApplicationSnapshot, pod *snapshotv1alpha1.FrozenPod) bool {
	return NeedsThaw(&other.Status) || wasLeft(pod)
}

func wasLeft(pod *snapshotv1alpha1.FrozenPod) bool {
	return pod.State == snapshotv1alpha1.PodNotThawed
}

// isSame says that it is the same pod, and what a thaw was given up in the same container. A container that was started anew is
// not frozen.
func isSame(planned, other *snapshotv1alpha1.FrozenPod) bool {
	if planned.UID != other.UID {
		return false
	}
	return !wasLeft(other) || planned.Container != other.Container || planned.ContainerID == other.ContainerID && planned.RestartCount == other.RestartCount
}

// sharedPod is a pod of another snapshot's journal that is so, and that is one of ours.
func sharedPod(other *snapshotv1alpha1.ApplicationSnapshot, pods []snapshotv1alpha1.FrozenPod, is func(*snapshotv1alpha1.ApplicationSnapshot, *snapshotv1alpha1.FrozenPod) bool) *snapshotv1alpha1.FrozenPod {
	if other.Status.Freeze == nil {
		return nil
	}
	for i := range other.Status.Freeze.Pods {
		theirs := &other.Status.Freeze.Pods[i]
		if is(other, theirs) && slices.ContainsFunc(pods, func(ours snapshotv1alpha1.FrozenPod) bool { return isSame(&ours, theirs) }) {
			return theirs
		}
	}
	return nil
}
