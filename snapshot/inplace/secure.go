// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// secure waits until the present state can be brought back from a snapshot. Otherwise nothing is replaced.
func (p *procedure) secure(ctx context.Context) (outcome, error) {
	safety, err := p.safety(ctx)
	if err != nil {
		return outcome{}, err
	}
	if safety == nil {
		if safety, err = p.makeSafety(ctx); err != nil {
			return outcome{}, err
		}
	}
	switch {
	case safety.Labels[snapshotv1alpha1.LabelRestore] != string(p.restore().UID):
		return outcome{}, problemf(ReasonSafety, "there is another ApplicationSnapshot %s, so the present state cannot be kept", safety.Name)
	case !safety.DeletionTimestamp.IsZero():
		return outcome{}, problemf(ReasonSafety, "the safety snapshot %s is being deleted", safety.Name)
	case safety.Status.Phase == snapshotv1alpha1.PhaseFailed:
		return outcome{}, problemf(ReasonSafety, "the safety snapshot %s failed: %s", safety.Name, safety.Status.Message)
	case safety.Status.Phase != snapshotv1alpha1.PhaseReady:
		return p.wait(ctx, later, "waiting for the safety snapshot %s: %s", safety.Name, safety.Status.Message)
	}
	if lacks := p.lacking(safety); len(lacks) > 0 {
		return outcome{}, problemf(ReasonSafety, "the safety snapshot %s does not have the present state of %s", safety.Name, strings.Join(lacks, ", "))
	}
	// Somebody may have used the claims while the snapshot was made.
	if quiet, err := p.still(ctx, oldSide); err != nil || quiet != "" {
		return p.waitOr(ctx, quiet, err)
	}
	return onward, p.beginSwap(ctx)
}

// lacking are the claims whose present state could not be brought back from the safety snapshot.
func (p *procedure) lacking(safety *snapshotv1alpha1.ApplicationSnapshot) []string {
	var names []string
	ready := meta.IsStatusConditionTrue(safety.Status.Conditions, snapshotv1alpha1.ConditionReady)
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		member := restore.MemberOf(safety, planned.Name)
		if !ready || member == nil || member.ClaimUID != planned.OldUID || member.State != snapshotv1alpha1.MemberReady {
			names = append(names, planned.Name)
		}
	}
	return names
}

// safety is nil where there is none.
func (p *procedure) safety(ctx context.Context) (*snapshotv1alpha1.ApplicationSnapshot, error) {
	found := &snapshotv1alpha1.ApplicationSnapshot{}
	err := p.Client.Get(ctx, types.NamespacedName{Namespace: p.restore().Namespace, Name: p.status().SafetySnapshotName}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the safety snapshot %s: %w", p.status().SafetySnapshotName, err)
	}
	return found, nil
}

// makeSafety takes it like the one that is restored, without hooks, since nothing runs.
func (p *procedure) makeSafety(ctx context.Context) (*snapshotv1alpha1.ApplicationSnapshot, error) {
	safety := &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.restore().Namespace, Name: p.status().SafetySnapshotName,
			Labels:      map[string]string{snapshotv1alpha1.LabelRestore: string(p.restore().UID)},
			Annotations: map[string]string{snapshotv1alpha1.AnnotationPinned: "true", snapshotv1alpha1.AnnotationRestoredBy: p.restore().Name},
		},
		Spec: snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: p.claimNames(), Mode: snapshotv1alpha1.ModeSequential},
	}
	like := &snapshotv1alpha1.ApplicationSnapshot{}
	err := p.Client.Get(ctx, types.NamespacedName{Namespace: p.restore().Namespace, Name: p.restore().Spec.Source.Name}, like)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", p.restore().Spec.Source.Name, err)
	}
	if err == nil && like.UID == p.status().SourceUID {
		safety.Spec.VolumeSnapshotClassName, safety.Spec.CutDeadline, safety.Spec.ReadyDeadline = like.Spec.VolumeSnapshotClassName, like.Spec.CutDeadline, like.Spec.ReadyDeadline
		// One that may lack claims secures nothing.
		if like.Spec.Mode == snapshotv1alpha1.ModeGroup {
			safety.Spec.Mode, safety.Spec.VolumeGroupSnapshotClassName = like.Spec.Mode, like.Spec.VolumeGroupSnapshotClassName
		}
	}
	if err := p.Client.Create(ctx, safety); err != nil {
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return nil, problemf(ReasonSafety, "the safety snapshot is refused: %v", err)
		}
		return nil, fmt.Errorf("making the safety snapshot %s: %w", safety.Name, err)
	}
	return safety, nil
}

// forgetSafety deletes the safety snapshot, if there is one: nobody else would. One that somebody unpinned is left to him.
func (p *procedure) forgetSafety(ctx context.Context) error {
	if p.status().SafetySnapshotName == "" {
		return nil
	}
	safety, err := p.safety(ctx)
	if err != nil || safety == nil || safety.Labels[snapshotv1alpha1.LabelRestore] != string(p.restore().UID) ||
		safety.Annotations[snapshotv1alpha1.AnnotationPinned] != "true" || !safety.DeletionTimestamp.IsZero() {
		return err
	}
	if err := p.Client.Delete(ctx, safety, asRead(safety)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the safety snapshot %s: %w", safety.Name, err)
	}
	p.event(corev1.EventTypeNormal, ReasonGivenUp, "deleted the safety snapshot %s", safety.Name)
	return nil
}
