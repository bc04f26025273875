// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/preflight"
)

// ErrQuota is in the error of Make where a ResourceQuota refuses.
var ErrQuota = errors.New("quota exceeded")

// Make makes what the status has no UID of yet, and enters the UIDs. A member that will never be made is Failed. An error is
// for another try.
func (c *Cutter) Make(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	if isGroup(snapshot) {
		return c.makeGroup(ctx, snapshot)
	}
	var failures []error
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		if member.VolumeSnapshotUID != "" || member.State == snapshotv1alpha1.MemberFailed {
			continue
		}
		made, err := c.makeOne(ctx, snapshot, member)
		switch {
		case err == nil:
			member.VolumeSnapshotUID, member.State, member.Message = made.UID, snapshotv1alpha1.MemberCutting, ""
		case isFinal(err):
			fail(member, err.Error())
		default:
			member.Message = short(err.Error())
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (c *Cutter) makeOne(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember) (*snapshotv1.VolumeSnapshot, error) {
	made := &snapshotv1.VolumeSnapshot{ObjectMeta: metaOf(snapshot, member.VolumeSnapshotName)}
	if err := c.isThere(ctx, snapshot, member); err != nil {
		return nil, err
	}
	claim, class := member.ClaimName, member.VolumeSnapshotClassName
	made.Spec.Source.PersistentVolumeClaimName, made.Spec.VolumeSnapshotClassName = &claim, &class
	err := c.Client.Create(ctx, made)
	if !apierrors.IsAlreadyExists(err) {
		return made, creating(err, "VolumeSnapshot", member.VolumeSnapshotName)
	}
	found := &snapshotv1.VolumeSnapshot{}
	if err := c.Client.Get(ctx, client.ObjectKeyFromObject(made), found); err != nil {
		return nil, fmt.Errorf("reading VolumeSnapshot %s: %w", made.Name, err)
	}
	source := found.Spec.Source.PersistentVolumeClaimName
	switch {
	case !isOurs(found, snapshot) || source == nil || *source != claim:
		return nil, &finalError{fmt.Errorf("VolumeSnapshot %s exists, and was not made for claim %s of this snapshot", made.Name, claim)}
	case found.DeletionTimestamp != nil:
		return nil, &finalError{fmt.Errorf("VolumeSnapshot %s is being deleted", made.Name)}
	}
	return found, nil
}

// isThere wants the claim to be the one that was settled, and not to be restored meanwhile. A VolumeSnapshot knows claims by name
// only. Memory will do, and where that does not have it, the API server tells.
func (c *Cutter) isThere(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember) error {
	for _, reader := range []client.Reader{c.Memory, c.Client} {
		claim := &corev1.PersistentVolumeClaim{}
		err := reader.Get(ctx, claimKey(snapshot, member.ClaimName), claim)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading claim %s: %w", member.ClaimName, err)
		}
		if err != nil || !isMember(claim, member) {
			continue
		}
		if by := preflight.RestoredBy(claim, snapshot); by != "" {
			return &finalError{fmt.Errorf(restoring, claim.Name, by)}
		}
		return nil
	}
	return &finalError{fmt.Errorf(deleted, member.ClaimName)}
}

// makeGroup makes the VolumeGroupSnapshot. Its claims have the run's label.
func (c *Cutter) makeGroup(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) error {
	status := &snapshot.Status
	if status.GroupSnapshotUID != "" || anyFailed(snapshot) {
		return nil
	}
	made := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metaOf(snapshot, status.GroupSnapshotName)}
	class := status.VolumeGroupSnapshotClassName
	made.Spec.VolumeGroupSnapshotClassName = &class
	made.Spec.Source.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{RunLabel(snapshot): runValue}}
	err := creating(c.groups.Create(ctx, made), "VolumeGroupSnapshot", made.Name)
	if apierrors.IsAlreadyExists(err) {
		made, err = c.adoptGroup(ctx, snapshot)
	}
	switch {
	case isFinal(err):
		failAll(snapshot, err.Error())
		return nil
	case err != nil:
		status.Members[0].Message = short(err.Error())
		return err
	}
	status.Members[0].Message = ""
	status.GroupSnapshotUID = made.UID
	for i := range status.Members {
		status.Members[i].State = snapshotv1alpha1.MemberCutting
	}
	return nil
}

func (c *Cutter) adoptGroup(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (*groupsnapshotv1.VolumeGroupSnapshot, error) {
	found, err := c.groups.Get(ctx, claimKey(snapshot, snapshot.Status.GroupSnapshotName))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading VolumeGroupSnapshot %s: %w", snapshot.Status.GroupSnapshotName, err)
	case !isOurs(found, snapshot):
		return nil, &finalError{fmt.Errorf("VolumeGroupSnapshot %s exists, and was not made for this snapshot", found.Name)}
	case found.DeletionTimestamp != nil:
		return nil, &finalError{fmt.Errorf("VolumeGroupSnapshot %s is being deleted", found.Name)}
	}
	return found, nil
}

// creating says what an error of a creation means.
func creating(err error, kind, name string) error {
	switch {
	case err == nil || apierrors.IsAlreadyExists(err):
		return err
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return fmt.Errorf("creating %s %s: %w: %w", kind, name, ErrQuota, err)
	case apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err):
		return &finalError{fmt.Errorf("creating %s %s: %w", kind, name, err)}
	default:
		return fmt.Errorf("creating %s %s: %w", kind, name, err)
	}
}

// finalError does not go away.
type finalError struct{ error }

// Unwrap implements errors.Unwrap.
func (e *finalError) Unwrap() error { return e.error }

func isFinal(err error) bool {
	var final *finalError
	return errors.As(err, &final)
}

func anyFailed(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	for i := range snapshot.Status.Members {
		if snapshot.Status.Members[i].State == snapshotv1alpha1.MemberFailed {
			return true
		}
	}
	return false
}
