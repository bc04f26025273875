// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// start gives the new volumes their reclaim policy, and the workloads their replicas.
func (p *procedure) start(ctx context.Context) (outcome, error) {
	for i := range p.status().Claims {
		claim := &p.status().Claims[i]
		if err := p.settle(ctx, claim, claim.NewVolume, policyAfter(claim)); err != nil {
			return outcome{}, err
		}
	}
	if err := p.releaseAndStart(ctx); err != nil {
		return outcome{}, err
	}
	now := metav1.NewMicroTime(p.Clock.Now())
	p.status().CompletionTime = &now
	until := now.Add(p.restore().Spec.InPlace.RollbackWindow.Duration)
	p.condition(snapshotv1alpha1.ConditionRestored, metav1.ConditionTrue, ReasonCompleted, "The claims have the content of the snapshot")
	p.condition(snapshotv1alpha1.ConditionUndoable, metav1.ConditionTrue, ReasonCompleted,
		"The old volumes are kept until "+until.UTC().Format("2006-01-02T15:04:05Z")+": rollback brings them back, confirm gives them up")
	err := p.enter(ctx, snapshotv1alpha1.RestoreCompleted, ReasonCompleted, "restored, and the workloads have their replicas again; the old volumes are kept until %s",
		until.UTC().Format("2006-01-02T15:04:05Z"))
	if err != nil {
		return outcome{}, err
	}
	p.tellLeft()
	return onward, nil
}

// policyAfter is the new volume's reclaim policy. Whoever set Retain on the old one by hand wants it for what takes its place.
func policyAfter(claim *snapshotv1alpha1.RestoredClaim) string {
	if claim.OldReclaimPolicy == string(retain) {
		return claim.OldReclaimPolicy
	}
	return claim.NewReclaimPolicy
}

// settle sets the reclaim policy of the volume that the claim has now, and of no other: Delete on one that is Released destroys it.
func (p *procedure) settle(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, name, policy string) error {
	claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
	if err != nil {
		return err
	}
	volume, err := p.volume(ctx, name)
	if err != nil || volume == nil || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimPolicy(policy) {
		return err
	}
	ref := volume.Spec.ClaimRef
	if claim == nil || claim.Spec.VolumeName != name || claim.Status.Phase != corev1.ClaimBound || !claim.DeletionTimestamp.IsZero() ||
		!p.isHere(volume) || ref.UID != claim.UID {
		p.leaveVolume(name, "claim %s does not have it any more", planned.Name)
		return nil
	}
	return p.setPolicy(ctx, volume, corev1.PersistentVolumeReclaimPolicy(policy))
}

// releaseAndStart takes the marks off the claims, and gives the workloads their replicas.
func (p *procedure) releaseAndStart(ctx context.Context) error {
	for _, name := range p.claimNames() {
		if err := p.release(ctx, name); err != nil {
			return err
		}
	}
	for i := range p.status().Workloads {
		workload := &p.status().Workloads[i]
		if workload.State == snapshotv1alpha1.WorkloadStarted {
			continue
		}
		note, err := p.workloads.Start(ctx, p.key(), workload)
		if err != nil {
			return err
		}
		workload.State = snapshotv1alpha1.WorkloadStarted
		if err := p.save(ctx); err != nil {
			return err
		}
		if note != "" {
			p.event(corev1.EventTypeWarning, ReasonWorkloadLeft, "%s", note)
		}
	}
	return nil
}

// release takes this restore's mark off a claim. Another's stays.
func (p *procedure) release(ctx context.Context, name string) error {
	claim, err := p.claim(ctx, p.restore().Namespace, name)
	if err != nil || claim == nil || claim.Annotations[snapshotv1alpha1.AnnotationRestoring] != p.restore().Name {
		return err
	}
	before := claim.DeepCopy()
	delete(claim.Annotations, snapshotv1alpha1.AnnotationRestoring)
	if err := p.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("releasing claim %s: %w", name, err)
	}
	return nil
}
