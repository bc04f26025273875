// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// beginRollback checks that every claim can have its old volume again: all of them, or none.
func (p *procedure) beginRollback(ctx context.Context) (outcome, error) {
	for i := range p.status().Claims {
		why, err := p.noWayBack(ctx, &p.status().Claims[i])
		if err != nil {
			return outcome{}, err
		}
		if why != "" {
			return p.cannotRollBack(ctx, why)
		}
	}
	if err := p.refuseOthers(ctx); err != nil {
		return outcome{}, err
	}
	if err := p.findWorkloads(ctx); err != nil {
		return outcome{}, err
	}
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreRollingBack, ReasonRollingBack, "giving the claims their old volumes again: stopping %s", p.workloadNames())
}

// noWayBack says why a claim cannot have its old volume again.
func (p *procedure) noWayBack(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim) (string, error) {
	claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
	if err != nil {
		return "", err
	}
	if claim == nil || claim.UID != planned.UID || claim.Spec.VolumeName != planned.NewVolume || !claim.DeletionTimestamp.IsZero() {
		return fmt.Sprintf("claim %s was deleted, made anew or restored again since", planned.Name), nil
	}
	volume, err := p.volume(ctx, planned.OldVolume)
	if err != nil {
		return "", err
	}
	if volume == nil || !volume.DeletionTimestamp.IsZero() {
		return fmt.Sprintf("the old volume %s of claim %s does not exist any more", planned.OldVolume, planned.Name), nil
	}
	if ref := volume.Spec.ClaimRef; ref != nil && ref.UID != planned.OldUID {
		return fmt.Sprintf("the old volume %s of claim %s belongs to claim %s/%s by now", volume.Name, planned.Name, ref.Namespace, ref.Name), nil
	}
	return "", nil
}

// cannotRollBack leaves everything as it is. The old volumes stay, whatever the window says: somebody wants them.
func (p *procedure) cannotRollBack(ctx context.Context, why string) (outcome, error) {
	return outcome{}, p.giveRollbackUp(ctx, why)
}

// rollBack stops the workloads again, gives the claims their old volumes, and starts the workloads.
func (p *procedure) rollBack(ctx context.Context) (outcome, error) {
	if p.reasonOf(snapshotv1alpha1.ConditionUndoable) == ReasonCannotRollBack {
		return p.endRollback(ctx)
	}
	if !p.exchanging() && !p.restore().DeletionTimestamp.IsZero() {
		return onward, p.giveRollbackUp(ctx, "the SnapshotRestore was deleted")
	}
	if !p.exchanging() {
		if out, err := p.stopAgain(ctx); !out.again || err != nil {
			return out, err
		}
	}
	waits, err := p.exchangeAll(ctx, backward, snapshotv1alpha1.ClaimRollingBack, snapshotv1alpha1.ClaimRolledBack)
	if err != nil || waits != "" {
		return p.waitOr(ctx, waits, err)
	}
	if err := p.settleOld(ctx); err != nil {
		return outcome{}, err
	}
	now := metav1.NewMicroTime(p.Clock.Now())
	p.status().CompletionTime = &now
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionFalse, ReasonRolledBack, "The claims have their old volumes again")
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonRolledBack, "A rollback cannot be undone")
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreRolledBack, ReasonRolledBack, "rolled back; the volumes made from the snapshot are kept until %s",
		now.Add(p.restore().Spec.InPlace.RollbackWindow.Duration).UTC().Format("2006-01-02T15:04:05Z"))
}

// settleOld ends a rollback: the old volumes get their reclaim policy again, and the workloads their replicas.
func (p *procedure) settleOld(ctx context.Context) error {
	for i := range p.status().Claims {
		claim := &p.status().Claims[i]
		if err := p.settle(ctx, claim, claim.OldVolume, claim.OldReclaimPolicy); err != nil {
			return err
		}
	}
	return p.releaseAndStart(ctx)
}

// stopAgain stops the workloads before the first claim is exchanged. Where a claim is not what it was, the rollback ends.
func (p *procedure) stopAgain(ctx context.Context) (outcome, error) {
	quiet, err := p.still(ctx, newSide)
	if problem, ok := restore.AsProblem(err); ok && problem.Final {
		return outcome{after: time.Millisecond}, p.giveRollbackUp(ctx, problem.Message)
	}
	if err != nil || quiet != "" {
		return p.waitOr(ctx, quiet, err)
	}
	for i := range p.status().Claims {
		p.status().Claims[i].State = snapshotv1alpha1.ClaimRollingBack
	}
	p.say("giving the claims their old volumes again")
	return onward, p.save(ctx)
}

// exchanging says that claims may have been deleted to get their old volumes.
func (p *procedure) exchanging() bool {
	for i := range p.status().Claims {
		if p.status().Claims[i].State != snapshotv1alpha1.ClaimRestored {
			return true
		}
	}
	return false
}

// giveRollbackUp writes down that the rollback ends before it changed a claim.
func (p *procedure) giveRollbackUp(ctx context.Context, why string) error {
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonCannotRollBack, why)
	p.say("cannot roll back: %s", why)
	if err := p.save(ctx); err != nil {
		return err
	}
	p.event(corev1.EventTypeWarning, ReasonCannotRollBack, "cannot roll back: %s; nothing was changed", why)
	return nil
}

// endRollback starts the workloads again with what they had.
func (p *procedure) endRollback(ctx context.Context) (outcome, error) {
	if err := p.releaseAndStart(ctx); err != nil {
		return outcome{}, err
	}
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreCompleted, ReasonCannotRollBack, "%s", p.status().Message)
}
