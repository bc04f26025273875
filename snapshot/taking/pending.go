// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/cuts"
	"roost.dev/roost/snapshot/hooks"
	"roost.dev/roost/snapshot/preflight"
)

// The pauses between two looks at what stands in the way: half of how long it stands there already.
const (
	retryFirst = 5 * time.Second
	retryLast  = time.Minute
)

// pending settles the claims once nothing stands in the way and it is its turn.
func (run *run) pending(ctx context.Context) (reconcile.Result, error) {
	var namespace corev1.Namespace
	err := run.Client.Get(ctx, client.ObjectKey{Name: run.key.Namespace}, &namespace)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("reading namespace %s: %w", run.key.Namespace, err)
	}
	if err != nil || namespace.DeletionTimestamp != nil {
		return run.fail(ctx, ReasonNamespaceTerminating, fmt.Sprintf("namespace %s is being deleted", run.key.Namespace))
	}
	plan, err := run.preflight.Check(ctx, run.snapshot())
	var problems preflight.Problems
	if errors.As(err, &problems) {
		return run.tryAgain(ctx, problems.Reason(), problems.Error())
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	candidate := run.snapshot().DeepCopy()
	settle(candidate, plan, run.Clock.Now())
	freeze, err := run.Hooks.Plan(ctx, candidate)
	if isForUser(err) {
		return run.tryAgain(ctx, ReasonHooks, err.Error())
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if !run.enter(preflight.Load(candidate.Status.Members)) {
		run.status().Phase = snapshotv1alpha1.PhasePending
		run.say(false, ReasonWaiting, "waits for its turn: as many snapshots are being cut as the limits allow")
		return reconcile.Result{}, run.save(ctx)
	}
	candidate.Status.DeepCopyInto(run.status())
	run.say(false, ReasonCutting, "the storage system cuts")
	if err := run.save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	for _, left := range plan.LeftOut {
		run.Recorder.Eventf(run.snapshot(), left.Claim, corev1.EventTypeNormal, EventLeftOut, actionTake, "%s", left.Reason)
	}
	return run.cutting(ctx, freeze)
}

// enter is false where others are first. Nobody is before a restore's own snapshot: the application is down for it.
func (run *run) enter(load map[string]int) bool {
	if run.snapshot().Labels[snapshotv1alpha1.LabelRestore] != "" {
		run.Gate.Resume(run.key, load)
		return true
	}
	return run.Gate.Enter(run.key, load)
}

// settle enters what is going to be taken. From here on no claim is added.
func settle(snapshot *snapshotv1alpha1.ApplicationSnapshot, plan *preflight.Plan, now time.Time) {
	status := &snapshot.Status
	status.Phase, status.StartTime = snapshotv1alpha1.PhaseCutting, &metav1.MicroTime{Time: now}
	status.Members = plan.Members
	if snapshot.Spec.Mode == snapshotv1alpha1.ModeGroup {
		status.GroupSnapshotName, status.VolumeGroupSnapshotClassName = cuts.GroupName(snapshot), plan.GroupClassName
	}
	for i := range status.Members {
		member := &status.Members[i]
		if member.State == snapshotv1alpha1.MemberFailed {
			continue
		}
		member.State = snapshotv1alpha1.MemberCutting
		if status.GroupSnapshotName == "" {
			member.VolumeSnapshotName = cuts.Name(snapshot, member.ClaimName)
		}
	}
}

// tryAgain waits for what stands in the way to go, for as long as a cut may take.
func (run *run) tryAgain(ctx context.Context, reason, message string) (reconcile.Result, error) {
	run.Gate.Leave(run.key)
	now, begin := run.Clock.Now(), run.problemSince()
	until := begin.Add(cutDeadline(run.snapshot()))
	if !now.Before(until) {
		return run.fail(ctx, reason, message)
	}
	run.status().Phase = snapshotv1alpha1.PhasePending
	run.say(false, reason, message)
	return reconcile.Result{RequeueAfter: pause(begin, now, until)}, run.save(ctx)
}

// problemSince is since when something stands in the way, as the condition has it. To wait for one's turn is no problem: what
// comes after it begins anew.
func (run *run) problemSince() time.Time {
	switch said := conditionOf(run.snapshot(), snapshotv1alpha1.ConditionReady); said.Reason {
	case "", ReasonWaiting:
		meta.RemoveStatusCondition(&run.status().Conditions, snapshotv1alpha1.ConditionReady)
		return run.Clock.Now()
	default:
		return said.LastTransitionTime.Time
	}
}

// pause grows with the time since begin, and ends at until.
func pause(begin, now, until time.Time) time.Duration {
	return min(max(retryFirst, min(retryLast, now.Sub(begin)/2)), max(until.Sub(now), time.Millisecond))
}

// isForUser says that hooks cannot run as things are, and not that the API server could not be asked.
func isForUser(err error) bool {
	var refusal *hooks.Refusal
	return errors.Is(err, hooks.ErrBusy) || errors.As(err, &refusal)
}
