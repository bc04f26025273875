// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"errors"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// removeCopies removes the copies that no claim is filled from any more, and says whether some remain. A claim that waits for
// its first pod would wait for ever without its copy.
func (l *look) removeCopies(ctx context.Context, left sets.Set[string]) (remain bool, err error) {
	var failures []error
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		if claim.ContentName == "" {
			continue
		}
		if restore.Unfilled(claim) || left.Has(claim.Name) {
			remain = true
			continue
		}
		gone, err := l.removeCopy(ctx, claim)
		if err != nil {
			failures = append(failures, err)
		}
		if !gone {
			remain = true
			continue
		}
		claim.ContentName = ""
		l.event(corev1.EventTypeNormal, EventCopyRemoved, "Remove", "removed the copy "+claim.VolumeSnapshotName+" of the snapshot of "+claim.From+", which stays with its namespace")
	}
	return remain, errors.Join(failures...)
}

// removeCopy removes the VolumeSnapshot of a copy and then its content, one a round, and says that both are gone. What is not
// ours is left alone.
func (l *look) removeCopy(ctx context.Context, claim *snapshotv1alpha1.RestoredClaim) (bool, error) {
	content, snapshot := &snapshotv1.VolumeSnapshotContent{}, &snapshotv1.VolumeSnapshot{}
	hasContent, err := l.findOurs(ctx, types.NamespacedName{Name: claim.ContentName}, content)
	if err != nil {
		return false, err
	}
	hasSnapshot, err := l.findOurs(ctx, types.NamespacedName{Namespace: l.key.Namespace, Name: claim.VolumeSnapshotName}, snapshot)
	if err != nil {
		return false, err
	}
	if hasContent {
		err := l.retain(ctx, content)
		if _, changed := restore.AsProblem(err); changed {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	switch {
	case hasSnapshot:
		return false, l.removeExactly(ctx, snapshot)
	case hasContent:
		return false, l.removeExactly(ctx, content)
	}
	return true, nil
}

// findOurs reads an object of a copy from the API server, and says that it is there and was made by this restore.
func (l *look) findOurs(ctx context.Context, key types.NamespacedName, object client.Object) (bool, error) {
	switch err := l.Client.Get(ctx, key, object); {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading %T %s: %w", object, key, err)
	}
	return l.isOurs(object), nil
}

// removeExactly deletes an object as it was read, and no other.
func (l *look) removeExactly(ctx context.Context, object client.Object) error {
	if object.GetDeletionTimestamp() != nil {
		return nil
	}
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := l.Client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	return nil
}
