// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/cuts"
	"roost.dev/roost/snapshot/hooks"
)

const (
	// framePoll is how often a frozen application's snapshots are looked at in memory, and groupFramePoll in the API server.
	framePoll      = 200 * time.Millisecond
	groupFramePoll = 500 * time.Millisecond
	// largestMargin is how long before the timers in the pods thaw begins, at most.
	largestMargin = 5 * time.Second
	// removeTimeout bounds the deletions that come before a thaw, and the timers in the pods do.
	removeTimeout = 5 * time.Second
	// ClockSkew is by how much the storage system's clock may be behind ours when it says when it has cut.
	ClockSkew = 2 * time.Second
)

// failure is why a snapshot of a frozen application came to nothing. The zero value is none.
type failure struct{ reason, message string }

// frozen freezes, cuts and thaws, in one go.
func (run *run) frozen(ctx context.Context, freeze *snapshotv1alpha1.Freeze) (reconcile.Result, error) {
	if freeze == nil {
		planned, err := run.Hooks.Plan(ctx, run.snapshot())
		if isForUser(err) {
			return run.waitForHooks(ctx, err)
		}
		if err != nil {
			return run.wait(ctx, err)
		}
		freeze = planned
	}
	hooks.Begin(run.snapshot(), freeze, run.Clock.Now())
	run.status().Freeze = freeze
	if err := run.save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	frozenBy, ended, thawed := run.frame(ctx)
	if hooks.NeedsThaw(run.status()) {
		return reconcile.Result{}, fmt.Errorf("thawing what ApplicationSnapshot %s froze: %w", run.key, errors.Join(thawed, frozenBy))
	}
	switch {
	case errors.Is(frozenBy, hooks.ErrBusy):
		// Nothing was frozen, so that this is no second freeze.
		run.status().Freeze = nil
		return run.waitForHooks(ctx, frozenBy)
	case apierrors.IsConflict(frozenBy):
		return reconcile.Result{}, frozenBy
	case ended != failure{}:
		return run.fail(ctx, ended.reason, ended.message)
	}
	return run.cut(ctx)
}

// waitForHooks is like wait, while the pods are not as the hooks need them.
func (run *run) waitForHooks(ctx context.Context, why error) (reconcile.Result, error) {
	now, until := run.Clock.Now(), run.cutUntil()
	if !now.Before(until) {
		return run.fail(ctx, ReasonHooks, why.Error())
	}
	run.say(false, ReasonHooks, why.Error())
	return reconcile.Result{RequeueAfter: pause(run.status().StartTime.Time, now, until)}, run.save(ctx)
}

// frame is what lies between the first freeze command and the last thaw. Whatever happens in it, it ends with a thaw.
func (run *run) frame(ctx context.Context) (frozenBy error, ended failure, thawed error) {
	defer func() { thawed = run.Hooks.Thaw(ctx, run.j) }()
	if frozenBy = run.freeze(ctx); frozenBy != nil {
		return frozenBy, failure{ReasonHookFailed, frozenBy.Error()}, nil
	}
	if ended = run.cutFrozen(ctx); ended != (failure{}) {
		run.removeFrozen(ctx)
	}
	return nil, ended, nil
}

// freeze freezes, with an end also to what the hooks ask the API server.
func (run *run) freeze(ctx context.Context) error {
	ctx, cancel := run.until(ctx, run.status().Freeze.Deadline.Time)
	defer cancel()
	return run.Hooks.Freeze(ctx, run.j)
}

// cutFrozen cuts, and enters what the snapshot is worth. What it enters is written with the thaw.
func (run *run) cutFrozen(ctx context.Context) failure {
	until := run.frameUntil()
	for {
		problem := run.lookUntil(ctx, until.Add(run.margin()/2))
		if errors.Is(problem, cuts.ErrQuota) {
			// To wait for a quota would be to wait with a frozen application.
			run.giveUpUnmade()
		}
		late := fmt.Sprintf("not cut while the application was frozen, by %s", until.UTC().Format(time.RFC3339))
		if message := doomed(run.snapshot()); message != "" {
			return failure{ReasonMemberFailed, message}
		}
		if !run.expire(snapshotv1alpha1.MemberCutting, until, late) {
			if problem != nil {
				late += ": " + problem.Error()
			}
			return failure{ReasonCutDeadline, run.unfinished(late)}
		}
		if all(run.status(), isCut) {
			run.removeExpired(ctx)
			enterCut(run.status(), run.reached(ctx))
			return failure{}
		}
		if !run.sleep(ctx, until) {
			return failure{ReasonInterrupted, "the controller manager ended while the application was frozen"}
		}
	}
}

// lookUntil is look, with an end: whoever asks an API server that does not answer holds the application.
func (run *run) lookUntil(ctx context.Context, end time.Time) error {
	ctx, cancel := run.until(ctx, end)
	defer cancel()
	return run.look(ctx)
}

// until gives a context that ends at a time of our clock.
func (run *run) until(ctx context.Context, end time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, end.Sub(run.Clock.Now()))
}

// giveUpUnmade fails the members that have no VolumeSnapshot.
func (run *run) giveUpUnmade() {
	for i := range run.status().Members {
		member := &run.status().Members[i]
		if member.VolumeSnapshotUID == "" && run.status().GroupSnapshotUID == "" {
			member.State = snapshotv1alpha1.MemberFailed
		}
	}
}

// frameUntil leaves time to thaw before the pods do so themselves.
func (run *run) frameUntil() time.Time {
	until := run.status().Freeze.Deadline.Add(-run.margin())
	if deadline := run.cutUntil(); deadline.Before(until) {
		return deadline
	}
	return until
}

// margin is how long before the timers in the pods thaw begins.
func (run *run) margin() time.Duration {
	freeze := run.status().Freeze
	return min(largestMargin, freeze.Deadline.Sub(freeze.StartTime.Time)/4)
}

func (run *run) sleep(ctx context.Context, until time.Time) bool {
	poll := framePoll
	if run.status().GroupSnapshotName != "" {
		poll = groupFramePoll
	}
	timer := run.Clock.NewTimer(min(poll, max(until.Sub(run.Clock.Now()), time.Millisecond)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return ctx.Err() == nil
	}
}

// reached is what a snapshot of a frozen application is worth, which is thawed next. The objects were made after the freeze and
// the cut was seen before the thaw: that order needs no clock. It says nothing of a storage system that gives back an older
// snapshot, so that a cut before the freeze, by its clock, is not believed. One after now is: some clocks are ahead.
func (run *run) reached(ctx context.Context) snapshotv1alpha1.Consistency {
	freeze := run.status().Freeze
	why := ""
	for i := range run.status().Members {
		member := &run.status().Members[i]
		if isCut(member) && member.CutTime.Add(ClockSkew).Before(freeze.StartTime.Time) {
			why = fmt.Sprintf("claim %s was cut at %s by the storage system's clock, before the freeze", member.ClaimName, member.CutTime.UTC().Format(time.RFC3339))
		}
	}
	if why == "" && !run.Clock.Now().Before(freeze.Deadline.Time) {
		why = "maxFreeze was over when the cut was seen"
	}
	if why == "" {
		ctx, cancel := run.until(ctx, freeze.Deadline.Time)
		defer cancel()
		held, reason := run.Hooks.HeldThrough(ctx, run.snapshot())
		if held {
			return snapshotv1alpha1.ConsistencyApplication
		}
		why = reason
	}
	run.doubt = why
	return unfrozen(run.snapshot())
}

// removeFrozen deletes what may be cut only after the thaw. What is left, because time or the API server did not allow it, is
// deleted once the snapshot has failed.
func (run *run) removeFrozen(ctx context.Context) {
	ctx, cancel := run.beforeThaw(ctx)
	defer cancel()
	if _, err := run.cutter.Remove(ctx, run.snapshot()); err != nil {
		klog.FromContext(ctx).Error(err, "Deleting the snapshots of a frozen application; it is thawed now, and they are deleted later", "snapshot", klog.KObj(run.snapshot()))
	}
}

// beforeThaw ends when the thaw cannot wait any longer.
func (run *run) beforeThaw(ctx context.Context) (context.Context, context.CancelFunc) {
	now, end := run.Clock.Now(), run.status().Freeze.Deadline.Time
	if most := now.Add(removeTimeout); most.Before(end) {
		end = most
	}
	return run.until(ctx, end)
}

// removeExpired is removeFrozen for the members that failed, in mode BestEffort.
func (run *run) removeExpired(ctx context.Context) {
	ctx, cancel := run.beforeThaw(ctx)
	defer cancel()
	if err := run.cutter.RemoveFailed(ctx, run.snapshot()); err != nil {
		klog.FromContext(ctx).Error(err, "Deleting snapshots that were not cut in time; the application is thawed now, and they are deleted later", "snapshot", klog.KObj(run.snapshot()))
	}
}
