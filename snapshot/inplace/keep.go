// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// keep keeps the old volumes until they are wanted back, given up, or their time is over.
func (p *procedure) keep(ctx context.Context) (outcome, error) {
	switch {
	case p.reasonOf(snapshotv1alpha1.ConditionUndoable) == ReasonGivingUp:
		return p.giveUp(ctx)
	case !meta.IsStatusConditionTrue(p.status().Conditions, snapshotv1alpha1.ConditionUndoable):
		return p.tooLate(ctx)
	case p.restore().Spec.Rollback:
		return p.beginRollback(ctx)
	}
	left := p.status().CompletionTime.Add(p.restore().Spec.InPlace.RollbackWindow.Duration).Sub(p.Clock.Now())
	if left > 0 && !p.restore().Spec.Confirm {
		return outcome{after: left}, nil
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivingUp, "The old volumes are being given up")
	p.say("giving the old volumes up")
	return onward, p.save(ctx)
}

// tooLate tells whoever asks for a rollback that there is none any more.
func (p *procedure) tooLate(ctx context.Context) (outcome, error) {
	if !p.restore().Spec.Rollback || p.reasonOf(snapshotv1alpha1.ConditionUndoable) == ReasonCannotRollBack {
		return outcome{}, nil
	}
	return p.cannotRollBack(ctx, "the old volumes were given up")
}

// giveUp lets the old volumes go. One is kept all the same where its claim has no other: then it is the only copy.
func (p *procedure) giveUp(ctx context.Context) (outcome, error) {
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
		if err != nil {
			return outcome{}, err
		}
		if !p.restore().Spec.Confirm && (claim == nil || claim.Status.Phase != corev1.ClaimBound) {
			p.event(corev1.EventTypeWarning, ReasonVolumeKept, "claim %s is not there or has no volume, so its old volume %s is left with the reclaim policy Retain",
				planned.Name, planned.OldVolume)
			continue
		}
		done, err := p.letGo(ctx, planned.OldVolume, planned.OldReclaimPolicy, planned.OldUID)
		if err != nil {
			return outcome{}, err
		}
		if !done {
			return p.wait(ctx, later, "waiting for volume %s to be released", planned.OldVolume)
		}
	}
	if err := p.unpin(ctx); err != nil {
		return outcome{}, err
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivenUp, "The old volumes were given up")
	p.say("restored; the old volumes were given up")
	if err := p.save(ctx); err != nil {
		return outcome{}, err
	}
	p.event(corev1.EventTypeNormal, ReasonGivenUp, "the old volumes were given up: the restore cannot be undone any more")
	return outcome{}, nil
}

// keepRolledBack keeps the volumes that were made from the snapshot for as long: what was written to them since is nowhere else.
func (p *procedure) keepRolledBack(ctx context.Context) (outcome, error) {
	undoable := meta.FindStatusCondition(p.status().Conditions, snapshotv1alpha1.ConditionUndoable)
	if undoable == nil || undoable.Reason == ReasonGivenUp {
		return outcome{}, nil
	}
	since := p.status().CompletionTime
	if left := since.Add(p.restore().Spec.InPlace.RollbackWindow.Duration).Sub(p.Clock.Now()); left > 0 {
		return outcome{after: max(left, time.Millisecond)}, nil
	}
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		done, err := p.letGo(ctx, planned.NewVolume, planned.NewReclaimPolicy, planned.OldUID)
		if err != nil {
			return outcome{}, err
		}
		if !done {
			return p.wait(ctx, later, "waiting for volume %s to be released", planned.NewVolume)
		}
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivenUp, "The volumes made from the snapshot were given up")
	return outcome{}, p.save(ctx)
}
