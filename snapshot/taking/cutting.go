// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/cuts"
	"roost.dev/roost/snapshot/preflight"
)

// Nobody tells of a VolumeGroupSnapshot: it is read that often.
const (
	groupCutPoll   = time.Second
	groupReadyPoll = 10 * time.Second
)

// cutting has the claims cut. The freeze was planned this moment, or is nil.
func (run *run) cutting(ctx context.Context, freeze *snapshotv1alpha1.Freeze) (reconcile.Result, error) {
	if run.status().Freeze != nil {
		return run.fail(ctx, ReasonInterrupted, "the controller manager ended while the application may have been frozen; it is not frozen again for this snapshot")
	}
	run.Gate.Resume(run.key, preflight.Load(run.status().Members))
	if err := run.prepare(ctx); err != nil {
		return run.wait(ctx, err)
	}
	if message := doomed(run.snapshot()); message != "" {
		return run.fail(ctx, ReasonMemberFailed, message)
	}
	if run.snapshot().Spec.Hooks != nil {
		return run.frozen(ctx, freeze)
	}
	err := run.look(ctx)
	if message := doomed(run.snapshot()); message != "" {
		return run.fail(ctx, ReasonMemberFailed, message)
	}
	if !run.expire(snapshotv1alpha1.MemberCutting, run.cutUntil(), "not cut within "+cutDeadline(run.snapshot()).String()) {
		return run.fail(ctx, ReasonCutDeadline, run.unfinished("not cut within "+cutDeadline(run.snapshot()).String()))
	}
	if !all(run.status(), isCut) {
		return run.wait(ctx, err)
	}
	enterCut(run.status(), unfrozen(run.snapshot()))
	return run.cut(ctx)
}

// prepare does what takes time and must not be done while the application is frozen.
func (run *run) prepare(ctx context.Context) error {
	group := run.snapshot().Spec.Mode == snapshotv1alpha1.ModeGroup
	if group || run.snapshot().Spec.Hooks != nil {
		if err := run.hold(ctx); err != nil {
			return err
		}
	}
	if !group || run.status().GroupSnapshotUID != "" {
		return nil
	}
	return run.cutter.Mark(ctx, run.snapshot())
}

// look makes what is not made, or enters what became of it. Memory has nothing to say of what was made this moment.
func (run *run) look(ctx context.Context) error {
	before := count(run.status(), isMade)
	err := run.cutter.Make(ctx, run.snapshot())
	if count(run.status(), isMade) > before {
		return err
	}
	return errors.Join(err, run.cutter.Observe(ctx, run.snapshot()))
}

func isMade(member *snapshotv1alpha1.SnapshotMember) bool { return member.VolumeSnapshotUID != "" }

// wait goes on later, at the latest at the deadline.
func (run *run) wait(ctx context.Context, failure error) (reconcile.Result, error) {
	now, until := run.Clock.Now(), run.cutUntil()
	if failure != nil && !now.Before(until) {
		return run.fail(ctx, ReasonCutDeadline, fmt.Sprintf("not cut within %s: %v", cutDeadline(run.snapshot()), failure))
	}
	next := reconcile.Result{RequeueAfter: max(until.Sub(now), time.Millisecond)}
	again := pause(run.status().StartTime.Time, now, until)
	switch {
	case meta.IsNoMatchError(failure):
		run.say(false, preflight.ReasonCRDsMissing, failure.Error())
		next.RequeueAfter, failure = again, nil
	case errors.Is(failure, cuts.ErrQuota):
		run.say(false, preflight.ReasonQuotaExceeded, failure.Error())
		next.RequeueAfter, failure = again, nil
	default:
		run.say(false, ReasonCutting, progress(run.status(), "the storage system cuts"))
		if run.status().GroupSnapshotName != "" {
			next.RequeueAfter = min(next.RequeueAfter, groupCutPoll)
		}
	}
	if err := errors.Join(run.save(ctx), failure); err != nil {
		return reconcile.Result{}, err
	}
	return next, nil
}

// cut goes on with a snapshot whose members are all cut. They are in the status, which may be written already.
func (run *run) cut(ctx context.Context) (reconcile.Result, error) {
	run.say(false, ReasonUploading, progress(run.status(), "the storage system makes the snapshots ready"))
	if all(run.status(), isReady) {
		return run.uploading(ctx)
	}
	if err := run.save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	return run.uploading(ctx)
}

func (run *run) cutUntil() time.Time {
	return run.status().StartTime.Add(cutDeadline(run.snapshot()))
}

// expire ends the members of a state when their time is up. False: that is the end of the whole.
func (run *run) expire(state snapshotv1alpha1.MemberState, until time.Time, message string) bool {
	if run.Clock.Now().Before(until) {
		return true
	}
	survivors := false
	for i := range run.status().Members {
		member := &run.status().Members[i]
		switch {
		case member.State == snapshotv1alpha1.MemberFailed:
		case member.State != state:
			survivors = true
		case run.snapshot().Spec.Mode != snapshotv1alpha1.ModeBestEffort:
			return false
		default:
			member.State, member.Message = snapshotv1alpha1.MemberFailed, lasting(message, member.Message)
		}
	}
	return survivors
}
