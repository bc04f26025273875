// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Content is the VolumeSnapshot of a member, in the ApplicationSnapshot's namespace, and its content: the ones that were cut,
// ready, naming each other, not being deleted, and of the member's driver. Otherwise it is a Problem.
func (s *Source) Content(ctx context.Context, namespace string, member *snapshotv1alpha1.SnapshotMember) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent, error) {
	if member.VolumeSnapshotUID == "" {
		return nil, nil, final(ReasonSnapshotGone, "it is not known which VolumeSnapshot %s was taken of the claim %s", member.VolumeSnapshotName, member.ClaimName)
	}
	return s.Bound(ctx, types.NamespacedName{Namespace: namespace, Name: member.VolumeSnapshotName}, member.VolumeSnapshotUID, member.Driver)
}

// Bound is a VolumeSnapshot and its content, like Content. An empty uid is any.
func (s *Source) Bound(ctx context.Context, key types.NamespacedName, uid types.UID, driver string) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent, error) {
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	switch err := s.Client.Get(ctx, key, snapshot); {
	case apierrors.IsNotFound(err):
		return nil, nil, final(ReasonSnapshotGone, "the VolumeSnapshot %s is gone", key)
	case err != nil:
		return nil, nil, unserved(err, "reading the VolumeSnapshot "+key.String())
	}
	if problem := unbound(snapshot, uid); problem != nil {
		return nil, nil, problem
	}
	name := *snapshot.Status.BoundVolumeSnapshotContentName
	switch err := s.Client.Get(ctx, client.ObjectKey{Name: name}, content); {
	case apierrors.IsNotFound(err):
		return nil, nil, final(ReasonSnapshotGone, "the VolumeSnapshotContent %s of the VolumeSnapshot %s is gone", name, key)
	case err != nil:
		return nil, nil, unserved(err, "reading the VolumeSnapshotContent "+name)
	}
	if problem := unusable(snapshot, content, driver); problem != nil {
		return nil, nil, problem
	}
	return snapshot, content, nil
}

// Handle is the storage system's name of what a content stands for.
func Handle(content *snapshotv1.VolumeSnapshotContent) string {
	switch {
	case content.Status != nil && content.Status.SnapshotHandle != nil:
		return *content.Status.SnapshotHandle
	case content.Spec.Source.SnapshotHandle != nil:
		return *content.Spec.Source.SnapshotHandle
	}
	return ""
}

// unbound is what is wrong with a VolumeSnapshot by itself, or nil.
func unbound(snapshot *snapshotv1.VolumeSnapshot, uid types.UID) *Problem {
	key := client.ObjectKeyFromObject(snapshot)
	status := snapshot.Status
	switch {
	case uid != "" && snapshot.UID != uid:
		return final(ReasonSnapshotGone, "the VolumeSnapshot %s is another one than was taken", key)
	case snapshot.DeletionTimestamp != nil:
		return final(ReasonSnapshotGone, "the VolumeSnapshot %s is being deleted", key)
	case status == nil || status.BoundVolumeSnapshotContentName == nil || *status.BoundVolumeSnapshotContentName == "":
		return waiting(ReasonSnapshotNotReady, "the VolumeSnapshot %s has no content yet", key)
	case status.ReadyToUse == nil || !*status.ReadyToUse:
		return waiting(ReasonSnapshotNotReady, "the VolumeSnapshot %s is not ready to use%s", key, said(status.Error))
	}
	return nil
}

// unusable is what is wrong with the content that a VolumeSnapshot names, or nil. The provisioner looks at the same, and
// leaves a claim Pending where it finds something.
func unusable(snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent, driver string) *Problem {
	key, ref := client.ObjectKeyFromObject(snapshot), content.Spec.VolumeSnapshotRef
	switch {
	case ref.Namespace != snapshot.Namespace || ref.Name != snapshot.Name || (ref.UID != "" && ref.UID != snapshot.UID):
		return final(ReasonSnapshotMisbound, "the VolumeSnapshot %s names the content %s, which belongs to another one", key, content.Name)
	case content.DeletionTimestamp != nil:
		return final(ReasonSnapshotGone, "the VolumeSnapshotContent %s of the VolumeSnapshot %s is being deleted", content.Name, key)
	case content.Spec.Driver != driver:
		return final(ReasonSnapshotMisbound, "the content %s of the VolumeSnapshot %s is of the driver %s, not of %s", content.Name, key, content.Spec.Driver, driver)
	case ref.UID == "":
		return waiting(ReasonSnapshotNotReady, "the content %s is not bound to the VolumeSnapshot %s yet", content.Name, key)
	case content.Status == nil || content.Status.ReadyToUse == nil || !*content.Status.ReadyToUse || Handle(content) == "":
		return waiting(ReasonSnapshotNotReady, "the content %s of the VolumeSnapshot %s is not ready to use", content.Name, key)
	}
	return nil
}

// said is what the storage system said last, to be put behind a sentence.
func said(last *snapshotv1.VolumeSnapshotError) string {
	if last == nil || last.Message == nil {
		return ""
	}
	return ": " + *last.Message
}
