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

// giveUp lets the old volumes go, and the safety snapshot.
func (p *procedure) giveUp(ctx context.Context) (outcome, error) {
	if out, err := p.giveUpAll(ctx, forward); !out.again || err != nil {
		return out, err
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivenUp, "The old volumes were given up")
	p.say("restored; the old volumes were given up")
	if err := p.save(ctx); err != nil {
		return outcome{}, err
	}
	p.event(corev1.EventTypeNormal, ReasonGivenUp, "the old volumes were given up: the restore cannot be undone any more")
	p.tellLeft()
	return outcome{}, nil
}

// giveUpAll lets the volumes go that the claims had before they went that way, and the safety snapshot. Where a claim has not the
// volume that this restore gave it, nobody knows what else there is of it: its other volume is left then, and the safety snapshot.
func (p *procedure) giveUpAll(ctx context.Context, way direction) (outcome, error) {
	lost := false
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		had, has := way(planned)
		safe, err := p.has(ctx, planned, has)
		if err != nil {
			return outcome{}, err
		}
		if !safe {
			lost = true
			p.leaveVolume(had, "claim %s was deleted, made anew or restored again since", planned.Name)
			continue
		}
		policy := planned.OldReclaimPolicy
		if had == planned.NewVolume {
			policy = planned.NewReclaimPolicy
		}
		if done, err := p.letGo(ctx, had, policy, planned.OldUID); err != nil {
			return outcome{}, err
		} else if !done {
			return p.wait(ctx, later, "waiting for volume %s to be released", had)
		}
	}
	if !lost {
		return onward, p.forgetSafety(ctx)
	}
	if p.status().SafetySnapshotName != "" {
		p.left = append(p.left, "the safety snapshot "+p.status().SafetySnapshotName+" is left, too")
	}
	return onward, nil
}

// has says that the claim is the one that this restore made, and has that volume, which is there and stays.
func (p *procedure) has(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, name string) (bool, error) {
	claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
	if err != nil {
		return false, err
	}
	if claim == nil || claim.UID != planned.UID || claim.Spec.VolumeName != name || claim.Status.Phase != corev1.ClaimBound || !claim.DeletionTimestamp.IsZero() {
		return false, nil
	}
	volume, err := p.volume(ctx, name)
	if err != nil {
		return false, err
	}
	return volume != nil && volume.DeletionTimestamp.IsZero() && volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.UID == claim.UID, nil
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
	if out, err := p.giveUpAll(ctx, backward); !out.again || err != nil {
		return out, err
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonGivenUp, "The volumes made from the snapshot were given up")
	if err := p.save(ctx); err != nil {
		return outcome{}, err
	}
	p.tellLeft()
	return outcome{}, nil
}
