// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// beginRollback checks that every claim can have its old volume again: all of them, or none.
func (p *procedure) beginRollback(ctx context.Context) (outcome, error) {
	why, err := p.blocked(ctx)
	if err != nil {
		return outcome{}, err
	}
	if why != "" {
		return p.cannotRollBack(ctx, why)
	}
	if err := p.refuseOthers(ctx); err != nil {
		return outcome{}, err
	}
	if err := p.findWorkloads(ctx); err != nil {
		return outcome{}, err
	}
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionFalse, ReasonRollingBack, "The claims are getting their old volumes again")
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreRollingBack, ReasonRollingBack, "giving the claims their old volumes again: stopping %s", p.workloadNames())
}

// blocked says why there is no way back for one of the claims. Empty is that there is one for all.
func (p *procedure) blocked(ctx context.Context) (string, error) {
	for i := range p.status().Claims {
		if why, err := p.noWayBack(ctx, &p.status().Claims[i]); err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
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
	if !p.exchanging() {
		if why := p.outOfTime(); why != "" {
			return onward, p.giveRollbackUp(ctx, why)
		}
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
	err = p.enter(ctx, snapshotv1alpha1.RestoreRolledBack, ReasonRolledBack, "rolled back; the volumes made from the snapshot are kept until %s",
		now.Add(p.restore().Spec.InPlace.RollbackWindow.Duration).UTC().Format("2006-01-02T15:04:05Z"))
	if err != nil {
		return outcome{}, err
	}
	p.tellLeft()
	return onward, nil
}

// outOfTime says why a rollback that has changed no claim ends: the application is not held at 0 for ever.
func (p *procedure) outOfTime() string {
	if !p.restore().DeletionTimestamp.IsZero() {
		return "the SnapshotRestore was deleted"
	}
	began := meta.FindStatusCondition(p.status().Conditions, snapshotv1alpha1.ConditionRestored)
	if began == nil || began.Reason != ReasonRollingBack {
		return ""
	}
	deadline := p.restore().Spec.Deadline.Duration
	if p.Clock.Now().Before(began.LastTransitionTime.Add(deadline)) {
		return ""
	}
	return fmt.Sprintf("the deadline of %s passed: %s", deadline, p.status().Message)
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
	// It may have taken long, and from here on there is only forward.
	why, err := p.blocked(ctx)
	if err != nil {
		return outcome{}, err
	}
	if why != "" {
		return outcome{after: time.Millisecond}, p.giveRollbackUp(ctx, why)
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
	kept, err := p.keptVolumes(ctx)
	if err != nil {
		return err
	}
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonCannotRollBack, why)
	p.say("cannot roll back: %s", why)
	if err := p.save(ctx); err != nil {
		return err
	}
	p.event(corev1.EventTypeWarning, ReasonCannotRollBack, "cannot roll back: %s; nothing was changed", why)
	if len(kept) > 0 {
		p.event(corev1.EventTypeWarning, ReasonVolumeKept, "nobody gives up or brings back these volumes any more, which are left with the reclaim policy Retain: %s",
			strings.Join(kept, ", "))
	}
	return nil
}

// endRollback starts the workloads again with what they had.
func (p *procedure) endRollback(ctx context.Context) (outcome, error) {
	if err := p.releaseAndStart(ctx); err != nil {
		return outcome{}, err
	}
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionTrue, ReasonCompleted, "The claims have the content of the snapshot")
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreCompleted, ReasonCannotRollBack, "%s", p.status().Message)
}
