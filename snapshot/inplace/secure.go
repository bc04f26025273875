// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
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
	if len(safety.Status.Members) < len(p.status().Claims) {
		return outcome{}, problemf(ReasonSafety, "the safety snapshot %s lacks claims", safety.Name)
	}
	// Somebody may have used the claims while the snapshot was made.
	if quiet, err := p.still(ctx, oldSide); err != nil || quiet != "" {
		return p.waitOr(ctx, quiet, err)
	}
	return onward, p.beginSwap(ctx)
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

// unpin lets retention have the safety snapshot, if there is one.
func (p *procedure) unpin(ctx context.Context) error {
	if p.status().SafetySnapshotName == "" {
		return nil
	}
	safety, err := p.safety(ctx)
	if err != nil || safety == nil || safety.Labels[snapshotv1alpha1.LabelRestore] != string(p.restore().UID) {
		return err
	}
	if _, pinned := safety.Annotations[snapshotv1alpha1.AnnotationPinned]; !pinned {
		return nil
	}
	before := safety.DeepCopy()
	delete(safety.Annotations, snapshotv1alpha1.AnnotationPinned)
	if err := p.Client.Patch(ctx, safety, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("unpinning the safety snapshot %s: %w", safety.Name, err)
	}
	return nil
}
