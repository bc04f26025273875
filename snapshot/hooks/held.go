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
	"k8s.io/apimachinery/pkg/labels"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Held says by the journal alone whether every hook was run everywhere it should, and at least one of them keeps its
// application still, and if not, why. It is true before the thaw and after it, whatever the thaw came to.
func Held(snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, string) {
	freeze, hooks := snapshot.Status.Freeze, snapshot.Spec.Hooks
	if freeze == nil || hooks == nil {
		return false, "no hooks were run"
	}
	if freeze.FrozenTime == nil {
		return false, "the freeze was not completed"
	}
	holds := false
	for i := range hooks.Commands {
		hook := &hooks.Commands[i]
		indices := indicesOf(freeze, hook.Name)
		if len(indices) == 0 {
			return false, fmt.Sprintf("hook %q found no pod that it could run in", hook.Name)
		}
		for _, k := range indices {
			if pod := &freeze.Pods[k]; freezeError(pod.Error) != "" || pod.State == snapshotv1alpha1.PodGone {
				return false, fmt.Sprintf("hook %q in pod %s: %s", hook.Name, pod.Name, cmp.Or(freezeError(pod.Error), "it was gone when it was thawed"))
			}
		}
		holds = holds || len(hook.Thaw) > 0
	}
	if !holds {
		return false, "no hook keeps the application still: none has a thaw"
	}
	return true, ""
}

// HeldThrough says whether the application was held still from Status.Freeze.FrozenTime until now, or until ThawTime, and if
// not, why. It is called after the cut, before or after the thaw. Beyond what Held says, every pod that was frozen has to be
// the same pod and container still, no other pod may run that a hook matches or that uses a claim of the snapshot, and the timers
// must not have been due. That the cut was in that time is the caller's to compare.
func (r *Runner) HeldThrough(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, string) {
	if held, why := Held(snapshot); !held {
		return false, why
	}
	freeze, until := snapshot.Status.Freeze, r.clock.Now()
	if freeze.ThawTime != nil {
		until = freeze.ThawTime.Time
	}
	if until.After(freeze.Deadline.Time) {
		return false, "the freeze took longer than maxFreeze, and the pods may have thawed by themselves"
	}
	for i := range snapshot.Spec.Hooks.Commands {
		hook := &snapshot.Spec.Hooks.Commands[i]
		pods, err := r.match(ctx, snapshot, hook)
		if err != nil {
			return false, fmt.Sprintf("whether the freeze held is not known: %v", err)
		}
		if why := changed(freeze, hook, pods); why != "" {
			return false, fmt.Sprintf("hook %q: %s", hook.Name, why)
		}
	}
	return r.usersHeld(ctx, snapshot)
}

// usersHeld says whether every pod that runs and uses a claim was kept still, by a hook that has a thaw: a flush keeps nothing. A
// pod that pods: One leaves out is taken for still: one is enough, says the user.
func (r *Runner) usersHeld(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, string) {
	users, err := r.match(ctx, snapshot, &snapshotv1alpha1.Hook{})
	if err != nil {
		return false, fmt.Sprintf("whether the freeze held is not known: %v", err)
	}
	for i := range users {
		if users[i].Status.Phase == corev1.PodRunning && !isKeptStill(snapshot, &users[i]) {
			return false, fmt.Sprintf("pod %s uses a claim of the snapshot and was not frozen: no hook with a thaw ran in it", users[i].Name)
		}
	}
	return true, ""
}

func isKeptStill(snapshot *snapshotv1alpha1.ApplicationSnapshot, pod *corev1.Pod) bool {
	freeze := snapshot.Status.Freeze
	return slices.ContainsFunc(snapshot.Spec.Hooks.Commands, func(hook snapshotv1alpha1.Hook) bool {
		switch {
		case len(hook.Thaw) == 0:
			return false
		case hook.Pods == snapshotv1alpha1.HookPodsOne:
			return selects(&hook, pod)
		default:
			return slices.ContainsFunc(indicesOf(freeze, hook.Name), func(k int) bool { return freeze.Pods[k].UID == string(pod.UID) })
		}
	})
}

// selects says that a hook matches a pod that uses a claim of the snapshot.
func selects(hook *snapshotv1alpha1.Hook, pod *corev1.Pod) bool {
	if hook.PodSelector == nil {
		return true
	}
	selector, err := metav1.LabelSelectorAsSelector(hook.PodSelector)
	return err == nil && selector.Matches(labels.Set(pod.Labels))
}

// changed says what is no longer as it was when a hook ran.
func changed(freeze *snapshotv1alpha1.Freeze, hook *snapshotv1alpha1.Hook, pods []corev1.Pod) string {
	known := map[string]bool{}
	for _, i := range indicesOf(freeze, hook.Name) {
		then := &freeze.Pods[i]
		known[then.UID] = true
		at := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return string(pod.UID) == then.UID })
		switch {
		case at < 0:
			return fmt.Sprintf("pod %s is gone, or was replaced, or is no longer selected", then.Name)
		case hasEnded(&pods[at]) || startedAnew(&pods[at], then):
			return fmt.Sprintf("container %s of pod %s ended or was started anew", then.Container, then.Name)
		default:
		}
	}
	if hook.Pods == snapshotv1alpha1.HookPodsOne {
		return ""
	}
	for i := range pods {
		if !known[string(pods[i].UID)] && pods[i].Status.Phase == corev1.PodRunning {
			return fmt.Sprintf("pod %s runs and was not frozen", pods[i].Name)
		}
	}
	return ""
}
