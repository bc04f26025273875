// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const retain = corev1.PersistentVolumeReclaimRetain

// setPolicy sets the reclaim policy of a volume as it was read.
func (p *procedure) setPolicy(ctx context.Context, volume *corev1.PersistentVolume, policy corev1.PersistentVolumeReclaimPolicy) error {
	if volume.Spec.PersistentVolumeReclaimPolicy == policy || policy == "" {
		return nil
	}
	before := volume.DeepCopy()
	volume.Spec.PersistentVolumeReclaimPolicy = policy
	if err := p.Client.Patch(ctx, volume, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("setting the reclaim policy of volume %s to %s: %w", volume.Name, policy, err)
	}
	return nil
}

// pointAt has a volume, as it was read, wait for a claim of that name. With a UID it waits for no other.
func (p *procedure) pointAt(ctx context.Context, volume *corev1.PersistentVolume, claim string, uid types.UID) error {
	before := volume.DeepCopy()
	volume.Spec.ClaimRef = &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: p.restore().Namespace, Name: claim, UID: uid,
	}
	if err := p.Client.Patch(ctx, volume, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("having volume %s wait for claim %s: %w", volume.Name, claim, err)
	}
	return nil
}

// isHere says that a volume is, or was, of a claim of the restore's namespace: volumes have none, and a status could name any.
func (p *procedure) isHere(volume *corev1.PersistentVolume) bool {
	return volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.Namespace == p.restore().Namespace
}

// keepBack sets the policy Retain. A volume that is gone, or another namespace's, is a problem. One that a person made nobody's is not.
func (p *procedure) keepBack(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	volume, err := p.volume(ctx, name)
	if err != nil {
		return nil, err
	}
	if volume == nil || !volume.DeletionTimestamp.IsZero() {
		return nil, problemf(ReasonVolumeGone, "volume %s does not exist any more", name)
	}
	if volume.Spec.ClaimRef != nil && !p.isHere(volume) {
		return nil, problemf(ReasonVolumeGone, "volume %s is not that of a claim of namespace %s", name, p.restore().Namespace)
	}
	return volume, p.setPolicy(ctx, volume, retain)
}

// letGo has Kubernetes do with a volume that no claim has any more what its reclaim policy was: Delete deletes it, with its
// content. It does so only where the volume is Released from one of these claims, by UID, and no claim names it. done is
// false while that cannot be said yet.
func (p *procedure) letGo(ctx context.Context, name, policy string, of ...types.UID) (done bool, err error) {
	volume, err := p.volume(ctx, name)
	if err != nil || volume == nil || policy == "" || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimPolicy(policy) {
		return err == nil, err
	}
	ref := volume.Spec.ClaimRef
	if !p.isHere(volume) || !slices.Contains(of, ref.UID) {
		p.leaveVolume(name, "it belongs to somebody else by now")
		return true, nil
	}
	wanted, err := p.wanted(ctx, volume)
	if err != nil {
		return false, err
	}
	if wanted != "" {
		p.leaveVolume(name, "claim %s names it", wanted)
		return true, nil
	}
	if volume.Status.Phase != corev1.VolumeReleased {
		return false, nil
	}
	if err := p.setPolicy(ctx, volume, corev1.PersistentVolumeReclaimPolicy(policy)); err != nil {
		return false, err
	}
	p.event(corev1.EventTypeNormal, ReasonGivenUp, "volume %s is let go with the reclaim policy %s", name, policy)
	return true, nil
}

// leaveVolume notes a volume that is left with the reclaim policy Retain. tellLeft tells once all is done: a step that waits is
// taken again from its beginning.
func (p *procedure) leaveVolume(name, format string, args ...any) {
	if note := name + ", as " + fmt.Sprintf(format, args...); !slices.Contains(p.left, note) {
		p.left = append(p.left, note)
	}
}

// tellLeft tells in one event of the volumes that are left: several of one reason are counted as one, with the first one's words.
func (p *procedure) tellLeft() {
	if len(p.left) > 0 {
		p.event(corev1.EventTypeWarning, ReasonVolumeKept, "volumes are left with the reclaim policy Retain: %s", strings.Join(p.left, "; "))
		p.left = nil
	}
}

// wanted is a claim that has the volume or names it, read from the API server. Empty is none.
func (p *procedure) wanted(ctx context.Context, volume *corev1.PersistentVolume) (string, error) {
	claims := &corev1.PersistentVolumeClaimList{}
	if err := p.Client.List(ctx, claims, client.InNamespace(p.restore().Namespace)); err != nil {
		return "", fmt.Errorf("listing claims of %s: %w", p.restore().Namespace, err)
	}
	for i := range claims.Items {
		if claims.Items[i].Spec.VolumeName == volume.Name || volume.Spec.ClaimRef.UID != "" && claims.Items[i].UID == volume.Spec.ClaimRef.UID {
			return claims.Items[i].Name, nil
		}
	}
	return "", nil
}
