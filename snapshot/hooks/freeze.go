// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
)

// Journal is an ApplicationSnapshot whose status is written step by step.
type Journal = journal.Journal[*snapshotv1alpha1.ApplicationSnapshot]

const (
	// timerSlack is how late a timer may be due for having taken a while to start, and timerTries how often it is started.
	timerSlack = time.Second
	timerTries = 2
)

// errTimeUp is that hooks.maxFreeze has passed.
var errTimeUp = errors.New("maxFreeze has passed")

// outcome is what a freeze in one pod came to.
type outcome struct {
	timerPID, output string
	err              error
	// tried is that the freeze command may have begun. Where it is false the pod needs no thaw.
	tried bool
}

// Freeze runs the freeze commands of a journal that Plan made and that the caller has saved, hook by hook. It saves the
// journal before the first command of each hook, and at the end with state Frozen. An error means that nothing may be cut, and
// that Thaw has to be called with the same journal; errors.Is(err, ErrBusy) and apierrors.IsConflict tell what to do then.
func (r *Runner) Freeze(ctx context.Context, j *Journal) error {
	freeze, hooks := j.Object.Status.Freeze, j.Object.Spec.Hooks
	if freeze == nil || hooks == nil {
		return nil
	}
	isPlanned := func(pod snapshotv1alpha1.FrozenPod) bool { return pod.State == snapshotv1alpha1.PodPlanned }
	if freeze.State != snapshotv1alpha1.Freezing || slices.ContainsFunc(freeze.Pods, func(pod snapshotv1alpha1.FrozenPod) bool { return !isPlanned(pod) }) {
		return errors.New("the freeze was begun before, and is not begun again")
	}
	if taken := r.reserve(freeze); taken != "" {
		return fmt.Errorf("pod %s: %w", taken, ErrBusy)
	}
	for i := range hooks.Commands {
		if err := r.freezeHook(ctx, j, &hooks.Commands[i]); err != nil {
			return err
		}
	}
	// Saving puts what the API server has into the object.
	freeze = j.Object.Status.Freeze
	now := metav1.NewMicroTime(r.clock.Now())
	if !now.Time.Before(freeze.Deadline.Time) {
		return errTimeUp
	}
	freeze.State, freeze.FrozenTime = snapshotv1alpha1.Frozen, &now
	return j.Save(ctx)
}

func (r *Runner) freezeHook(ctx context.Context, j *Journal, hook *snapshotv1alpha1.Hook) error {
	freeze := j.Object.Status.Freeze
	indices := indicesOf(freeze, hook.Name)
	if len(indices) == 0 {
		return nil
	}
	if r.left(freeze) <= 0 {
		return fmt.Errorf("hook %q: %w", hook.Name, errTimeUp)
	}
	for _, i := range indices {
		freeze.Pods[i].State = snapshotv1alpha1.PodAttempted
	}
	if err := j.Save(ctx); err != nil {
		return err
	}
	freeze = j.Object.Status.Freeze
	outcomes := make([]outcome, len(indices))
	each(len(indices), parallelism, func(k int) {
		outcomes[k] = r.freezePod(ctx, j.Object.Namespace, freeze, &freeze.Pods[indices[k]], hook)
	})
	var failed []error
	for k, i := range indices {
		note(&freeze.Pods[i], outcomes[k])
		if err := outcomes[k].err; err != nil {
			failed = append(failed, fmt.Errorf("hook %q in pod %s: %w", hook.Name, freeze.Pods[i].Name, said(err, outcomes[k].output)))
		}
	}
	return r.settle(ctx, j, hook, failed)
}

// settle says what errors in pods mean to the snapshot.
func (r *Runner) settle(ctx context.Context, j *Journal, hook *snapshotv1alpha1.Hook, failed []error) error {
	switch {
	case len(failed) == 0:
		return nil
	case hook.OnError == snapshotv1alpha1.OnErrorContinue && ctx.Err() == nil && r.left(j.Object.Status.Freeze) > 0:
		klog.FromContext(ctx).V(2).Info("A freeze failed and the snapshot goes on", "snapshot", klog.KObj(j.Object), "hook", hook.Name, "err", failed[0])
		return nil
	case len(failed) == 1:
		return failed[0]
	default:
		return fmt.Errorf("%w; and in %d more pods", failed[0], len(failed)-1)
	}
}

// freezePod freezes one pod. It reads the journal and does not write to it, as others of the hook run beside it.
func (r *Runner) freezePod(ctx context.Context, namespace string, freeze *snapshotv1alpha1.Freeze, pod *snapshotv1alpha1.FrozenPod, hook *snapshotv1alpha1.Hook) (result outcome) {
	in := target{pod: types.NamespacedName{Namespace: namespace, Name: pod.Name}, container: pod.Container}
	// A command is told only the pod's name.
	switch live, err := r.livePod(ctx, in.pod); {
	case client.IgnoreNotFound(err) != nil:
		return outcome{err: fmt.Errorf("reading the pod: %w", err)}
	case err != nil || string(live.UID) != pod.UID:
		return outcome{err: errors.New("the pod was replaced since the hooks were planned")}
	case startedAnew(live, pod):
		return outcome{err: errors.New("the container was started anew since the hooks were planned")}
	}
	if len(pod.Thaw) > 0 && hook.Timer != snapshotv1alpha1.FreezeTimerNone {
		if result = r.startTimer(ctx, in, freeze, pod); result.err != nil {
			return result
		}
	}
	limit := min(orDefault(pod.Timeout, DefaultTimeout), r.left(freeze))
	if limit <= 0 {
		result.err = errTimeUp
		return result
	}
	result.output, result.err = r.exec(ctx, in, limit, hook.Freeze)
	// What the API server does not allow it has not begun.
	result.tried = !apierrors.IsForbidden(result.err) && !apierrors.IsUnauthorized(result.err)
	return result
}

// startTimer starts a timer that is due at the deadline, however long it took to start. One that took too long is stopped, and
// another one started with what is left then.
func (r *Runner) startTimer(ctx context.Context, in target, freeze *snapshotv1alpha1.Freeze, pod *snapshotv1alpha1.FrozenPod) outcome {
	for range timerTries {
		began := r.clock.Now()
		result := r.startTimerOnce(ctx, in, freeze, pod)
		if result.err != nil || r.clock.Since(began) <= timerSlack {
			return result
		}
		late := *pod
		late.TimerPID = result.timerPID
		if output, err := r.exec(ctx, in, stopLimit, stopCommand(freeze.RunID, &late)); err != nil {
			klog.FromContext(ctx).V(2).Info("A timer that started late could not be stopped; it thaws late what is thawed then",
				"pod", klog.KRef(in.pod.Namespace, in.pod.Name), "err", said(err, output))
		}
	}
	return outcome{err: fmt.Errorf("nothing was frozen, as the timer took longer than %s to start, %d times, and would thaw too late", timerSlack, timerTries)}
}

func (r *Runner) startTimerOnce(ctx context.Context, in target, freeze *snapshotv1alpha1.Freeze, pod *snapshotv1alpha1.FrozenPod) outcome {
	left := r.left(freeze)
	if left <= 0 {
		return outcome{err: errTimeUp}
	}
	output, err := r.exec(ctx, in, min(orDefault(pod.Timeout, DefaultTimeout), left), startCommand(freeze.RunID, pod, left))
	if err != nil {
		return outcome{output: output, err: fmt.Errorf("nothing was frozen, as the timer did not start, which needs sh and sleep in the container: %w", err)}
	}
	pid, err := pidIn(output)
	if err != nil {
		return outcome{output: output, err: fmt.Errorf("nothing was frozen, as the timer did not start: %w", err)}
	}
	return outcome{timerPID: pid}
}

// left is how much of hooks.maxFreeze is left.
func (r *Runner) left(freeze *snapshotv1alpha1.Freeze) time.Duration {
	return freeze.Deadline.Sub(r.clock.Now())
}

// note puts into the journal what a freeze came to.
func note(pod *snapshotv1alpha1.FrozenPod, result outcome) {
	pod.State, pod.TimerPID, pod.Output = snapshotv1alpha1.PodFrozen, result.timerPID, end(result.output, maxOutput)
	if result.err == nil {
		return
	}
	pod.Error = start("freeze: "+result.err.Error(), maxError)
	if !result.tried {
		// To thaw it would be tried for minutes where no command can be run at all.
		pod.State = snapshotv1alpha1.PodPlanned
		return
	}
	// A command that did not say how it ended may still run, and freeze later. The pod stays Attempted.
	pod.State = snapshotv1alpha1.PodAttempted
	var exit utilexec.ExitError
	if errors.As(result.err, &exit) && exit.Exited() {
		pod.State = snapshotv1alpha1.PodFailed
	}
}

// said adds what the command said last to its error, which is often an exit code only.
func said(err error, output string) error {
	if line := lastLine(output); line != "" {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

func indicesOf(freeze *snapshotv1alpha1.Freeze, hook string) []int {
	var indices []int
	for i := range freeze.Pods {
		if freeze.Pods[i].Hook == hook {
			indices = append(indices, i)
		}
	}
	return indices
}
