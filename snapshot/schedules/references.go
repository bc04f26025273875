// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
	"roost.dev/roost/snapshot/retention"
)

// What keeps a snapshot from retention, in status.kept.
const (
	// KeptRestoring is a SnapshotRestore that is not over and names it.
	KeptRestoring = "Restoring"
	// KeptClaimPending is a PersistentVolumeClaim that is to be made from it and has no volume yet.
	KeptClaimPending = "ClaimPending"
	// KeptHandleShared is another VolumeSnapshotContent with the same snapshot of the storage system.
	KeptHandleShared = "HandleShared"
)

// handle is a snapshot of a storage system.
type handle struct{ driver, id string }

// references are what uses snapshots, and of what they are.
type references struct {
	// restoring are the UIDs that restores pinned of the snapshots that they name. An empty one is any of that name.
	restoring map[types.NamespacedName][]types.UID
	// pending are VolumeSnapshots that claims without a volume are to be made from.
	pending map[types.NamespacedName]bool
	// claims are those that exist in the schedule's namespace.
	claims map[types.UID]bool
	// bound are the handles of VolumeSnapshots, by UID and by name.
	boundUID  map[types.UID][]handle
	boundName map[types.NamespacedName][]handle
	// contents is how many VolumeSnapshotContents have a handle.
	contents map[handle]int
}

// references lists all that may use a snapshot of the schedule's namespace. A list that fails fails all: what cannot be seen
// may be in use. Memory may have thousands of contents: they are looked at as they are there, and not changed.
func (p *pass) references(ctx context.Context) (*references, error) {
	known := &references{boundUID: map[types.UID][]handle{}, boundName: map[types.NamespacedName][]handle{}, contents: map[handle]int{}}
	if err := known.lookAgain(ctx, p.Memory, p.schedule.Namespace); err != nil {
		return nil, err
	}
	contents := &snapshotv1.VolumeSnapshotContentList{}
	if err := p.Memory.List(ctx, contents, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing VolumeSnapshotContents: %w", err)
	}
	for i := range contents.Items {
		known.addContent(&contents.Items[i])
	}
	return known, nil
}

// lookAgain replaces what is known of restores and claims by what a reader has.
func (r *references) lookAgain(ctx context.Context, reader client.Reader, namespace string) error {
	r.restoring, r.pending, r.claims = map[types.NamespacedName][]types.UID{}, map[types.NamespacedName]bool{}, map[types.UID]bool{}
	restores := &snapshotv1alpha1.SnapshotRestoreList{}
	if err := reader.List(ctx, restores, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing SnapshotRestores: %w", err)
	}
	for i := range restores.Items {
		r.addRestore(&restores.Items[i])
	}
	claims := &corev1.PersistentVolumeClaimList{}
	if err := reader.List(ctx, claims, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing PersistentVolumeClaims of %s: %w", namespace, err)
	}
	for i := range claims.Items {
		r.addClaim(&claims.Items[i])
	}
	return nil
}

// addRestore takes note of a restore that still reads its source. The rollback of one in place needs the old volumes and no
// snapshot.
func (r *references) addRestore(one *snapshotv1alpha1.SnapshotRestore) {
	if !restore.NeedsSource(one) {
		return
	}
	source := restore.SourceKey(one)
	r.restoring[source] = append(r.restoring[source], one.Status.SourceUID)
	if name := one.Status.SafetySnapshotName; name != "" {
		safety := types.NamespacedName{Namespace: one.Namespace, Name: name}
		r.restoring[safety] = append(r.restoring[safety], "")
	}
}

func (r *references) addClaim(claim *corev1.PersistentVolumeClaim) {
	r.claims[claim.UID] = true
	if claim.Status.Phase == corev1.ClaimBound || claim.Status.Phase == corev1.ClaimLost {
		return
	}
	if source := claim.Spec.DataSource; source != nil && source.Kind == "VolumeSnapshot" {
		r.pending[types.NamespacedName{Namespace: claim.Namespace, Name: source.Name}] = true
	}
	if source := claim.Spec.DataSourceRef; source != nil && source.Kind == "VolumeSnapshot" {
		namespace := claim.Namespace
		if source.Namespace != nil && *source.Namespace != "" {
			namespace = *source.Namespace
		}
		r.pending[types.NamespacedName{Namespace: namespace, Name: source.Name}] = true
	}
}

func (r *references) addContent(content *snapshotv1.VolumeSnapshotContent) {
	h := handle{driver: content.Spec.Driver}
	switch {
	case content.Status != nil && content.Status.SnapshotHandle != nil:
		h.id = *content.Status.SnapshotHandle
	case content.Spec.Source.SnapshotHandle != nil:
		h.id = *content.Spec.Source.SnapshotHandle
	default:
		return
	}
	r.contents[h]++
	of := &content.Spec.VolumeSnapshotRef
	r.boundUID[of.UID] = append(r.boundUID[of.UID], h)
	name := types.NamespacedName{Namespace: of.Namespace, Name: of.Name}
	r.boundName[name] = append(r.boundName[name], h)
}

// useOf is what uses a snapshot, in one word, or empty.
func (r *references) useOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) string {
	for _, uid := range r.restoring[client.ObjectKeyFromObject(snapshot)] {
		if uid == "" || uid == snapshot.UID {
			return KeptRestoring
		}
	}
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		name := types.NamespacedName{Namespace: snapshot.Namespace, Name: member.VolumeSnapshotName}
		if member.VolumeSnapshotName == "" {
			continue
		}
		if r.pending[name] {
			return KeptClaimPending
		}
		handles := r.boundName[name]
		if member.VolumeSnapshotUID != "" {
			handles = r.boundUID[member.VolumeSnapshotUID]
		}
		for _, h := range handles {
			if r.contents[h] > 1 {
				return KeptHandleShared
			}
		}
	}
	return ""
}

// claimsOf are the claims that can be restored from a snapshot and that still exist, by their UIDs.
func (r *references) claimsOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) []retention.Claim {
	var claims []retention.Claim
	for i := range snapshot.Status.Members {
		if member := &snapshot.Status.Members[i]; member.State == snapshotv1alpha1.MemberReady && r.claims[member.ClaimUID] {
			claims = append(claims, retention.Claim{Name: member.ClaimName, UID: member.ClaimUID})
		}
	}
	return claims
}
