// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// stopLimit is for stopping a timer, which is not what anybody waits for.
	stopLimit = 3 * time.Second

	errRestarted = "the container was started anew after the freeze"
)

// thawPod thaws one pod. An empty state is that it has to be tried again.
func (r *Runner) thawPod(ctx context.Context, namespace string, freeze *snapshotv1alpha1.Freeze, pod snapshotv1alpha1.FrozenPod) (snapshotv1alpha1.PodState, string, error) {
	in := target{pod: types.NamespacedName{Namespace: namespace, Name: pod.Name}, container: pod.Container}
	live, err := r.livePod(ctx, in.pod)
	switch {
	case apierrors.IsNotFound(err):
		return snapshotv1alpha1.PodGone, "", nil
	case err != nil:
		// Whether it is the same pod is not known. A thaw where nothing is frozen does no harm; none where something is does.
		klog.FromContext(ctx).Error(err, "Thawing a pod that could not be read", "pod", klog.KRef(namespace, pod.Name))
	case string(live.UID) != pod.UID:
		// Commands know only names: this may be the pod that the freeze ran in, if it was there by then.
		if !live.CreationTimestamp.After(lastFreeze(freeze)) {
			output, err := r.exec(ctx, in, orDefault(pod.Timeout, DefaultTimeout), pod.Thaw)
			return snapshotv1alpha1.PodGone, output, err
		}
		return snapshotv1alpha1.PodGone, "", nil
	case hasEnded(live):
		return snapshotv1alpha1.PodGone, "", nil
	default:
		// A container that was started anew is thawed too: a frozen filesystem outlives it.
	}
	output, err := r.exec(ctx, in, orDefault(pod.Timeout, DefaultTimeout), pod.Thaw)
	if err != nil {
		return "", output, err
	}
	if live != nil && startedAnew(live, &pod) {
		return snapshotv1alpha1.PodGone, output, errors.New(errRestarted)
	}
	r.stopTimer(ctx, in, freeze, &pod)
	return snapshotv1alpha1.PodThawed, output, nil
}

// stopTimer stops the timer in a container. Where that fails, the timer thaws once more what is thawed already.
func (r *Runner) stopTimer(ctx context.Context, in target, freeze *snapshotv1alpha1.Freeze, pod *snapshotv1alpha1.FrozenPod) {
	switch {
	case pod.State == snapshotv1alpha1.PodAttempted:
		// The freeze command may still run, and freeze after this thaw. The timer is there for that.
		return
	case pod.TimerPID == "":
		// There is none: a PID is missing only where nobody saw how the freeze ended.
		return
	case !r.clock.Now().Before(freeze.Deadline.Add(time.Second)):
		// It has ended by itself.
		return
	default:
	}
	if output, err := r.exec(ctx, in, stopLimit, stopCommand(freeze.RunID, pod)); err != nil {
		klog.FromContext(ctx).V(2).Info("A timer could not be stopped; it ends by itself",
			"pod", klog.KRef(in.pod.Namespace, in.pod.Name), "deadline", freeze.Deadline, "err", said(err, output))
	}
}

// lastFreeze is when a freeze command ran at the latest.
func lastFreeze(freeze *snapshotv1alpha1.Freeze) time.Time {
	if freeze.FrozenTime != nil {
		return freeze.FrozenTime.Time
	}
	return freeze.Deadline.Time
}
