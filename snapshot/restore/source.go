// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Source reads what is restored from, from the API server itself.
type Source struct {
	Client client.Client
}

// SourceKey is the ApplicationSnapshot that a restore names.
func SourceKey(restore *snapshotv1alpha1.SnapshotRestore) client.ObjectKey {
	key := client.ObjectKey{Namespace: restore.Spec.Source.Namespace, Name: restore.Spec.Source.Name}
	if key.Namespace == "" {
		key.Namespace = restore.Namespace
	}
	return key
}

// CrossesNamespaces says that a restore reads a snapshot of another namespace than its own.
func CrossesNamespaces(restore *snapshotv1alpha1.SnapshotRestore) bool {
	return SourceKey(restore).Namespace != restore.Namespace
}

// Snapshot is the ApplicationSnapshot that a restore names, ready and with its namespace's consent, or a Problem. Once
// status.sourceUID is set, no other snapshot of that name will do.
//
// Without consent, a snapshot that exists is told from one that does not by nothing.
func (s *Source) Snapshot(ctx context.Context, restore *snapshotv1alpha1.SnapshotRestore) (*snapshotv1alpha1.ApplicationSnapshot, error) {
	key := SourceKey(restore)
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{}
	err := s.Client.Get(ctx, key, snapshot)
	switch {
	case apierrors.IsNotFound(err):
		snapshot = nil
	case err != nil:
		return nil, unserved(err, "reading the ApplicationSnapshot "+key.String())
	}
	if restore.Status.SourceUID != "" && (snapshot == nil || snapshot.UID != restore.Status.SourceUID) {
		return nil, final(ReasonSourceGone, "the ApplicationSnapshot %s that this restore began with was deleted", key)
	}
	allowed, err := s.allowed(ctx, restore, snapshot)
	switch {
	case err != nil:
		return nil, err
	case !allowed:
		return nil, waiting(ReasonSourceNotAllowed, "the namespace %s has no ApplicationSnapshot %s that names %s in allowedNamespaces, and no ReferenceGrant for it",
			key.Namespace, key.Name, restore.Namespace)
	case snapshot == nil:
		return nil, waiting(ReasonSourceMissing, "there is no ApplicationSnapshot %s", key)
	}
	if problem := unready(snapshot); problem != nil {
		return nil, problem
	}
	return snapshot, nil
}

// unready is why nothing can be restored from a snapshot, or nil.
func unready(snapshot *snapshotv1alpha1.ApplicationSnapshot) *Problem {
	key := client.ObjectKeyFromObject(snapshot)
	switch {
	case snapshot.DeletionTimestamp != nil:
		return final(ReasonSourceGone, "the ApplicationSnapshot %s is being deleted", key)
	case snapshot.Status.Phase == snapshotv1alpha1.PhaseFailed:
		return final(ReasonSourceFailed, "the ApplicationSnapshot %s failed: %s", key, snapshot.Status.Message)
	case snapshot.Status.Phase != snapshotv1alpha1.PhaseReady:
		return waiting(ReasonSourceNotReady, "waits for the ApplicationSnapshot %s to be ready: %s", key, snapshot.Status.Message)
	}
	return nil
}

// MemberOf is the member of a snapshot by the claim that was cut, or nil.
func MemberOf(snapshot *snapshotv1alpha1.ApplicationSnapshot, claim string) *snapshotv1alpha1.SnapshotMember {
	for i := range snapshot.Status.Members {
		if snapshot.Status.Members[i].ClaimName == claim {
			return &snapshot.Status.Members[i]
		}
	}
	return nil
}
