// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// leave is for a SnapshotRestore that is being deleted. What has not changed a claim yet is taken back, what changes one is
// ended first, and what has ended is left as it is: left is true then, and the object may go.
func (p *procedure) leave(ctx context.Context) (left bool, err error) {
	switch {
	case p.aborting():
		return false, nil
	case p.beforeSwap() && len(p.status().Claims) > 0:
		return false, p.beginAbort(ctx, ReasonDeleted, "the SnapshotRestore was deleted")
	case !p.beforeSwap() && atWork(p.status().Phase):
		return false, nil
	}
	p.Limits.Leave(p.key())
	kept, err := p.keptVolumes(ctx)
	if err != nil {
		return false, err
	}
	if err := p.setFinalizer(ctx, p.restore(), false); client.IgnoreNotFound(err) != nil {
		return false, err
	}
	if len(kept) > 0 {
		p.event(corev1.EventTypeWarning, ReasonVolumeKept, "the SnapshotRestore was deleted: nobody gives up or brings back its volumes any more, which are left with the reclaim policy Retain: %s",
			strings.Join(kept, ", "))
	}
	return true, nil
}

// abandon ends a restore whose claims cannot be made again, as their namespace goes. Their volumes stay, with both contents.
func (p *procedure) abandon(ctx context.Context, why string) (outcome, error) {
	if p.restore().DeletionTimestamp.IsZero() {
		return p.wait(ctx, later, "%s", why)
	}
	var kept []string
	for i := range p.status().Claims {
		claim := &p.status().Claims[i]
		kept = append(kept, claim.OldVolume+" and "+claim.NewVolume+" of claim "+claim.Name)
	}
	if err := p.setFinalizer(ctx, p.restore(), false); client.IgnoreNotFound(err) != nil {
		return outcome{}, err
	}
	p.event(corev1.EventTypeWarning, ReasonVolumeKept, "%s; volumes are left as they are, with the reclaim policy Retain where no claim has them: %s", why, strings.Join(kept, ", "))
	return outcome{}, nil
}

// keptVolumes are those that only this restore knows of.
func (p *procedure) keptVolumes(ctx context.Context) ([]string, error) {
	var kept []string
	for i := range p.status().Claims {
		claim := &p.status().Claims[i]
		name := map[snapshotv1alpha1.RestorePhase]string{
			snapshotv1alpha1.RestoreCompleted: claim.OldVolume, snapshotv1alpha1.RestoreRollingBack: claim.OldVolume,
			snapshotv1alpha1.RestoreRolledBack: claim.NewVolume,
		}[p.status().Phase]
		if name == "" {
			continue
		}
		volume, err := p.volume(ctx, name)
		if err != nil {
			return nil, err
		}
		if volume != nil && volume.Spec.PersistentVolumeReclaimPolicy == retain {
			kept = append(kept, "volume "+name+" of claim "+claim.Name)
		}
	}
	return kept, nil
}
