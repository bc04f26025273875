// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"strings"
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

// giveUp lets the old volumes go, and the safety snapshot. A volume is kept all the same where its claim has not the one that
// this restore gave it: then nobody knows what else there is of it.
func (p *procedure) giveUp(ctx context.Context) (outcome, error) {
	var kept []string
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		out, err := p.giveUpVolume(ctx, planned, planned.NewVolume, planned.OldVolume, planned.OldReclaimPolicy)
		if err != nil || out.after > 0 {
			return out, err
		}
		if !out.again {
			kept = append(kept, planned.OldVolume)
		}
	}
	if err := p.forgetSafety(ctx); err != nil {
		return outcome{}, err
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivenUp, "The old volumes were given up")
	p.say("restored; the old volumes were given up")
	if err := p.save(ctx); err != nil {
		return outcome{}, err
	}
	p.event(corev1.EventTypeNormal, ReasonGivenUp, "the old volumes were given up: the restore cannot be undone any more")
	p.tellKept(kept)
	return outcome{}, nil
}

// giveUpVolume lets a volume go whose claim has another. The outcome is onward where that is done, and nothing where the volume is
// kept.
func (p *procedure) giveUpVolume(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, has, volume, policy string) (outcome, error) {
	claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
	if err != nil {
		return outcome{}, err
	}
	if claim == nil || claim.UID != planned.UID || claim.Spec.VolumeName != has || claim.Status.Phase != corev1.ClaimBound {
		return outcome{}, nil
	}
	done, err := p.letGo(ctx, volume, policy, planned.OldUID)
	if err != nil {
		return outcome{}, err
	}
	if !done {
		return p.wait(ctx, later, "waiting for volume %s to be released", volume)
	}
	return onward, nil
}

func (p *procedure) tellKept(volumes []string) {
	if len(volumes) > 0 {
		p.event(corev1.EventTypeWarning, ReasonVolumeKept, "claims are gone, were made anew or restored again since, so these volumes are left with the reclaim policy Retain: %s",
			strings.Join(volumes, ", "))
	}
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
	var kept []string
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		out, err := p.giveUpVolume(ctx, planned, planned.OldVolume, planned.NewVolume, planned.NewReclaimPolicy)
		if err != nil || out.after > 0 {
			return out, err
		}
		if !out.again {
			kept = append(kept, planned.NewVolume)
		}
	}
	if err := p.forgetSafety(ctx); err != nil {
		return outcome{}, err
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivenUp, "The volumes made from the snapshot were given up")
	if err := p.save(ctx); err != nil {
		return outcome{}, err
	}
	p.tellKept(kept)
	return outcome{}, nil
}
