// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/preflight"
)

// cleanUpPoll is how often a VolumeGroupSnapshot that is being deleted is looked at.
const cleanUpPoll = 10 * time.Second

// uploading waits until all that is cut can be restored.
func (run *run) uploading(ctx context.Context) (reconcile.Result, error) {
	run.Gate.Leave(run.key)
	if err := run.letGo(ctx); err != nil {
		return reconcile.Result{}, err
	}
	if err := run.cutter.Observe(ctx, run.snapshot()); meta.IsNoMatchError(err) {
		return run.withoutCRDs(ctx, err)
	} else if err != nil {
		return reconcile.Result{}, err
	}
	if message := doomed(run.snapshot()); message != "" {
		return run.fail(ctx, ReasonMemberFailed, message)
	}
	late := "cannot be restored within " + readyDeadline(run.snapshot()).String()
	until := readyUntil(run.snapshot())
	if !run.expire(snapshotv1alpha1.MemberCut, until, late) {
		return run.fail(ctx, ReasonReadyDeadline, run.unfinished(late))
	}
	if !all(run.status(), isReady) {
		run.say(false, ReasonUploading, progress(run.status(), "the storage system makes the snapshots ready"))
		next := max(until.Sub(run.Clock.Now()), time.Millisecond)
		if run.status().GroupSnapshotName != "" {
			next = min(next, groupReadyPoll)
		}
		return reconcile.Result{RequeueAfter: next}, run.saveAndPrune(ctx)
	}
	run.status().Phase, run.status().ReadyTime = snapshotv1alpha1.PhaseReady, &metav1.MicroTime{Time: run.Clock.Now()}
	return run.ready(ctx)
}

// letGo removes the finalizer as soon as there is nothing to undo, so that nobody needs Roost to delete a snapshot.
func (run *run) letGo(ctx context.Context) error {
	if !controllerutil.ContainsFinalizer(run.snapshot(), snapshotv1alpha1.FinalizerThaw) {
		return nil
	}
	if err := run.save(ctx); err != nil {
		return err
	}
	return run.release(ctx)
}

// ready says whether what was ready still is.
func (run *run) ready(ctx context.Context) (reconcile.Result, error) {
	if err := run.letGo(ctx); err != nil {
		return reconcile.Result{}, err
	}
	if err := run.cutter.Observe(ctx, run.snapshot()); meta.IsNoMatchError(err) {
		return run.withoutCRDs(ctx, err)
	} else if err != nil {
		return reconcile.Result{}, err
	}
	ready := count(run.status(), isReady)
	if ready == len(run.status().Members) || run.snapshot().Spec.Mode == snapshotv1alpha1.ModeBestEffort && ready > 0 {
		run.say(true, ReasonReady, fmt.Sprintf("%d of %d claims can be restored", ready, len(run.status().Members)))
	} else {
		run.say(false, ReasonMemberLost, "can no longer be restored: "+run.unfinished("lost"))
	}
	return reconcile.Result{}, run.saveAndPrune(ctx)
}

// withoutCRDs says that the API server has forgotten VolumeSnapshots.
func (run *run) withoutCRDs(ctx context.Context, why error) (reconcile.Result, error) {
	run.say(false, preflight.ReasonCRDsMissing, why.Error())
	return reconcile.Result{RequeueAfter: retryLast}, run.save(ctx)
}

// saveAndPrune saves, and deletes the VolumeSnapshots of members that failed alone.
func (run *run) saveAndPrune(ctx context.Context) error {
	if err := run.save(ctx); err != nil {
		return err
	}
	if run.snapshot().Spec.Mode != snapshotv1alpha1.ModeBestEffort {
		return nil
	}
	return run.cutter.RemoveFailed(ctx, run.snapshot())
}

// fail ends the run, and removes what it made.
func (run *run) fail(ctx context.Context, reason, message string) (reconcile.Result, error) {
	status := run.status()
	status.Phase, status.CutTime, status.Consistency = snapshotv1alpha1.PhaseFailed, nil, ""
	for i := range status.Members {
		member := &status.Members[i]
		if member.State != snapshotv1alpha1.MemberFailed {
			member.State, member.Message = snapshotv1alpha1.MemberFailed, lasting("given up with the whole", member.Message)
		}
	}
	run.say(false, reason, message)
	if err := run.save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	run.Gate.Leave(run.key)
	return run.cleanUp(ctx, true)
}

// cleanUp removes what a run that failed has made: a VolumeSnapshot that is not ready holds its claim. The first time the API
// server is asked what there is, later memory is.
func (run *run) cleanUp(ctx context.Context, first bool) (reconcile.Result, error) {
	if err := run.save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	run.Gate.Leave(run.key)
	held := controllerutil.ContainsFinalizer(run.snapshot(), snapshotv1alpha1.FinalizerThaw)
	if !held && !first {
		_, err := run.cutter.RemoveKnown(ctx, run.snapshot())
		return reconcile.Result{}, err
	}
	done := true
	if run.status().StartTime != nil {
		var err error
		if done, err = run.cutter.Remove(ctx, run.snapshot()); err != nil {
			return reconcile.Result{}, err
		}
	}
	if !done && run.status().GroupSnapshotName != "" {
		return reconcile.Result{RequeueAfter: cleanUpPoll}, nil
	}
	return reconcile.Result{}, run.release(ctx)
}
