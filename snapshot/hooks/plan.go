// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Plan settles in which pods the hooks run, and gives the journal to put into the status: state Freezing, every pod Planned.
// It writes nothing, and runs no command but thaws that others gave up. It gives nil where the snapshot has no hooks. The claims of the snapshot, status.members, are settled
// before. What is for the user to read is a *Refusal; errors.Is(err, ErrBusy) tells to try again.
func (r *Runner) Plan(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (*snapshotv1alpha1.Freeze, error) {
	if snapshot.Spec.Hooks == nil {
		return nil, nil
	}
	var pods []snapshotv1alpha1.FrozenPod
	for i := range snapshot.Spec.Hooks.Commands {
		planned, err := r.planHook(ctx, snapshot, &snapshot.Spec.Hooks.Commands[i])
		if err != nil {
			return nil, err
		}
		pods = append(pods, planned...)
	}
	if len(pods) > MaxPods {
		return nil, refusef("the hooks would run in %d pods, %d is the most: select fewer, or set pods: One", len(pods), MaxPods)
	}
	if err := r.isFree(ctx, snapshot, pods); err != nil {
		return nil, err
	}
	freeze := &snapshotv1alpha1.Freeze{State: snapshotv1alpha1.Freezing, Pods: pods}
	Begin(snapshot, freeze, r.clock.Now())
	return freeze, nil
}

// Begin sets when a freeze begins, and ends at the latest. It is called again just before the journal is saved that Freeze goes
// by: what comes between takes nothing away from maxFreeze.
func Begin(snapshot *snapshotv1alpha1.ApplicationSnapshot, freeze *snapshotv1alpha1.Freeze, now time.Time) {
	// A snapshot freezes once. Should it freeze again all the same, then not at the same microsecond.
	freeze.RunID = string(snapshot.UID) + "-" + strconv.FormatInt(now.UnixMicro(), 36)
	freeze.StartTime = metav1.NewMicroTime(now)
	freeze.Deadline = metav1.NewMicroTime(now.Add(orDefault(snapshot.Spec.Hooks.MaxFreeze, DefaultMaxFreeze)))
}

func (r *Runner) planHook(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, hook *snapshotv1alpha1.Hook) ([]snapshotv1alpha1.FrozenPod, error) {
	pods, err := r.match(ctx, snapshot, hook)
	if err != nil {
		return nil, err
	}
	matched := len(pods)
	pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return !isReady(&pod) })
	if hook.Pods == snapshotv1alpha1.HookPodsOne && len(pods) > 1 {
		pods = pods[:1]
	}
	var planned []snapshotv1alpha1.FrozenPod
	for i := range pods {
		container, err := containerOf(&pods[i], hook)
		if err != nil && hook.OnError == snapshotv1alpha1.OnErrorContinue {
			// HeldThrough finds that the pod runs and was not frozen.
			continue
		}
		if err != nil {
			return nil, err
		}
		planned = append(planned, journalled(&pods[i], hook, container))
	}
	if len(planned) == 0 && hook.OnError != snapshotv1alpha1.OnErrorContinue {
		return nil, refusef("hook %q: of %d pods that match none is running and ready, so nothing would be frozen; "+
			"with onError: Continue the snapshot is made all the same", hook.Name, matched)
	}
	return planned, nil
}

func journalled(pod *corev1.Pod, hook *snapshotv1alpha1.Hook, container string) snapshotv1alpha1.FrozenPod {
	planned := snapshotv1alpha1.FrozenPod{
		Hook: hook.Name, Name: pod.Name, UID: string(pod.UID), Container: container,
		Thaw: slices.Clone(hook.Thaw), State: snapshotv1alpha1.PodPlanned,
		Timeout: metav1.Duration{Duration: orDefault(hook.Timeout, DefaultTimeout)},
	}
	if status := statusOf(pod, container); status != nil {
		planned.ContainerID, planned.RestartCount = status.ContainerID, status.RestartCount
	}
	return planned
}

func orDefault(duration metav1.Duration, otherwise time.Duration) time.Duration {
	return cmp.Or(duration.Duration, otherwise)
}
