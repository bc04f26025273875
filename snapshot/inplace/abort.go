// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// aborting says that everything is being brought back to how it was. The phase stays meanwhile.
func (p *procedure) aborting() bool {
	return p.reasonOf(snapshotv1alpha1.ConditionRestored) == ReasonAborting
}

// beginAbort writes down why. From then on the restore only goes back.
func (p *procedure) beginAbort(ctx context.Context, reason, why string) error {
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionFalse, ReasonAborting, reason+": "+why)
	p.say("bringing everything back to how it was: %s", why)
	if err := p.save(ctx); err != nil {
		return err
	}
	p.event(corev1.EventTypeWarning, ReasonAborting, "%s", p.status().Message)
	p.Limits.Leave(p.key())
	return nil
}

// abort brings everything back to how it was. Each step does nothing where there is nothing to bring back.
func (p *procedure) abort(ctx context.Context) (outcome, error) {
	waits, err := p.takeBack(ctx)
	if err != nil || waits != "" {
		return p.waitOr(ctx, waits, err)
	}
	if err := p.releaseAndStart(ctx); err != nil {
		return outcome{}, err
	}
	if err := p.forgetSafety(ctx); err != nil {
		return outcome{}, err
	}
	var why string
	if restored := meta.FindStatusCondition(p.status().Conditions, snapshotv1alpha1.ConditionRestored); restored != nil {
		why = restored.Message
	}
	for i := range p.status().Claims {
		p.status().Claims[i].State = snapshotv1alpha1.ClaimFailed
	}
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionFalse, ReasonFailed, why)
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionFalse, ReasonFailed, "Nothing was replaced")
	if err := p.enter(ctx, snapshotv1alpha1.RestoreFailed, ReasonFailed, "everything is as it was before: %s", why); err != nil {
		return outcome{}, err
	}
	p.tellLeft()
	return onward, nil
}

// takeBack gives the claims their old volumes, and removes what was made. It says what is to be waited for.
func (p *procedure) takeBack(ctx context.Context) (string, error) {
	for _, state := range []snapshotv1alpha1.ClaimState{snapshotv1alpha1.ClaimSwapping, snapshotv1alpha1.ClaimRestored} {
		if waits, err := p.exchangeAll(ctx, backward, state, snapshotv1alpha1.ClaimFailed); err != nil || waits != "" {
			return waits, err
		}
	}
	for i := range p.status().Claims {
		claim := &p.status().Claims[i]
		if claim.State == snapshotv1alpha1.ClaimPlanned {
			continue
		}
		if waits, err := p.discard(ctx, claim); err != nil || waits != "" {
			return waits, err
		}
		if err := p.settle(ctx, claim, claim.OldVolume, claim.OldReclaimPolicy); err != nil {
			return "", err
		}
	}
	return "", nil
}

// discard removes the temporary claim and the volume that was made from the snapshot: the snapshot has the content still.
func (p *procedure) discard(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim) (string, error) {
	temporary, err := p.claim(ctx, p.restore().Namespace, planned.TemporaryClaim)
	if err != nil {
		return "", err
	}
	if temporary != nil && temporary.Labels[snapshotv1alpha1.LabelRestore] == string(p.restore().UID) {
		return p.discardTemporary(ctx, temporary, planned)
	}
	if planned.NewVolume == "" {
		return "", nil
	}
	volume, err := p.volume(ctx, planned.NewVolume)
	if err != nil || volume == nil || !volume.DeletionTimestamp.IsZero() {
		return "", err
	}
	if err := p.orphan(ctx, volume, planned); err != nil {
		return "", err
	}
	done, err := p.letGo(ctx, planned.NewVolume, planned.NewReclaimPolicy, p.restore().UID)
	if err != nil || done {
		return "", err
	}
	return fmt.Sprintf("waiting for volume %s to be released", planned.NewVolume), nil
}

// discardTemporary has the volume go with the temporary claim, where it is that one's still.
func (p *procedure) discardTemporary(ctx context.Context, temporary *corev1.PersistentVolumeClaim, planned *snapshotv1alpha1.RestoredClaim) (string, error) {
	volume, err := p.volume(ctx, planned.NewVolume)
	if err != nil {
		return "", err
	}
	if volume != nil && volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.UID == temporary.UID {
		if err := p.setPolicy(ctx, volume, corev1.PersistentVolumeReclaimPolicy(planned.NewReclaimPolicy)); err != nil {
			return "", err
		}
	}
	return p.removeTemporary(ctx, temporary)
}

// orphan has a volume of ours, which may wait for the claim by name or be Released from one that nobody noted, wait for a claim that
// never comes. One that a claim names is left alone.
func (p *procedure) orphan(ctx context.Context, volume *corev1.PersistentVolume, planned *snapshotv1alpha1.RestoredClaim) error {
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.UID == p.restore().UID || ref.Namespace != p.restore().Namespace || ref.Name != planned.Name && ref.Name != planned.TemporaryClaim {
		return nil
	}
	wanted, err := p.wanted(ctx, volume)
	if err != nil || wanted != "" {
		return err
	}
	return p.pointAt(ctx, volume, planned.TemporaryClaim, p.restore().UID)
}
