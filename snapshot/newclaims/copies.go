// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// managedBy names on a content the node whose driver looks after it, where each node has one.
const managedBy = "snapshot.storage.kubernetes.io/managed-by"

// copyName is the name of a copy, of both its objects: the restore's UID makes it unique in the cluster, and tells anyone
// who looks where it comes from.
func copyName(uid types.UID, from string) string {
	sum := sha256.Sum256([]byte(from))
	return "restore-" + string(uid) + "-" + hex.EncodeToString(sum[:8])
}

// ensureCopy makes the snapshot of a member readable in the restore's namespace: a content for the same handle, and a
// VolumeSnapshot of it. The handle has one owner, which is the source's content: ours retains it.
func (l *look) ensureCopy(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember, claim *snapshotv1alpha1.RestoredClaim) error {
	_, content, err := l.source.Content(ctx, snapshot.Namespace, member)
	if err != nil {
		return err
	}
	wanted, err := l.copyOf(ctx, snapshot, content, claim)
	if err != nil {
		return err
	}
	if err := l.ensureContent(ctx, wanted); err != nil {
		return err
	}
	return l.ensureSnapshot(ctx, snapshot, claim)
}

// copyOf is the content of a copy. It has the class of the original, which is where the driver's secrets are named, as long
// as there is that class.
func (l *look) copyOf(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, content *snapshotv1.VolumeSnapshotContent, claim *snapshotv1alpha1.RestoredClaim) (*snapshotv1.VolumeSnapshotContent, error) {
	wanted := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: claim.ContentName, Labels: l.labels(), Annotations: l.origin(snapshot)},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{
				APIVersion: snapshotv1.SchemeGroupVersion.String(), Kind: "VolumeSnapshot", Namespace: l.key.Namespace, Name: claim.VolumeSnapshotName,
			},
			DeletionPolicy:   snapshotv1.VolumeSnapshotContentRetain,
			Driver:           content.Spec.Driver,
			Source:           snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To(restore.Handle(content))},
			SourceVolumeMode: content.Spec.SourceVolumeMode,
		},
	}
	if node, ok := content.Labels[managedBy]; ok {
		wanted.Labels[managedBy] = node
	}
	if name := content.Spec.VolumeSnapshotClassName; name != nil {
		switch err := l.Client.Get(ctx, client.ObjectKey{Name: *name}, &snapshotv1.VolumeSnapshotClass{}); {
		case err == nil:
			wanted.Spec.VolumeSnapshotClassName = name
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading the VolumeSnapshotClass %s: %w", *name, err)
		}
	}
	return wanted, nil
}

func (l *look) ensureContent(ctx context.Context, wanted *snapshotv1.VolumeSnapshotContent) error {
	found := &snapshotv1.VolumeSnapshotContent{}
	switch err := l.Client.Get(ctx, client.ObjectKeyFromObject(wanted), found); {
	case apierrors.IsNotFound(err):
		return create(ctx, l.Client, wanted)
	case err != nil:
		return fmt.Errorf("reading the VolumeSnapshotContent %s: %w", wanted.Name, err)
	case !l.isOurs(found) || !sameCopy(found, wanted):
		return &restore.Problem{Reason: ReasonCopyTaken, Message: "the VolumeSnapshotContent " + wanted.Name + " stands for something else", Final: true}
	}
	return l.retain(ctx, found)
}

func (l *look) ensureSnapshot(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, claim *snapshotv1alpha1.RestoredClaim) error {
	wanted := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.key.Namespace, Name: claim.VolumeSnapshotName, Labels: l.labels(), Annotations: l.origin(snapshot)},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: ptr.To(claim.ContentName)}},
	}
	found := &snapshotv1.VolumeSnapshot{}
	switch err := l.Client.Get(ctx, client.ObjectKeyFromObject(wanted), found); {
	case apierrors.IsNotFound(err):
		return create(ctx, l.Client, wanted)
	case err != nil:
		return fmt.Errorf("reading the VolumeSnapshot %s: %w", client.ObjectKeyFromObject(wanted), err)
	case !l.isOurs(found) || ptr.Deref(found.Spec.Source.VolumeSnapshotContentName, "") != claim.ContentName:
		return &restore.Problem{Reason: ReasonCopyTaken, Message: "the VolumeSnapshot " + wanted.Name + " stands for something else", Final: true}
	}
	return nil
}

// create makes an object of a copy.
func create(ctx context.Context, c client.Client, object client.Object) error {
	err := c.Create(ctx, object)
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("%T %s", object, client.ObjectKeyFromObject(object))
	if problem := restore.Refused(err, what+" cannot be made"); problem != nil {
		return problem
	}
	return fmt.Errorf("making %s: %w", what, err)
}

// sameCopy says that a content is for the handle, the driver and the VolumeSnapshot that are wanted.
func sameCopy(found, wanted *snapshotv1.VolumeSnapshotContent) bool {
	a, b := found.Spec, wanted.Spec
	return a.Driver == b.Driver && ptr.Deref(a.Source.SnapshotHandle, "") == ptr.Deref(b.Source.SnapshotHandle, "") &&
		a.VolumeSnapshotRef.Namespace == b.VolumeSnapshotRef.Namespace && a.VolumeSnapshotRef.Name == b.VolumeSnapshotRef.Name
}

func (l *look) labels() map[string]string {
	return map[string]string{snapshotv1alpha1.LabelRestore: string(l.uid())}
}

func (l *look) isOurs(object client.Object) bool {
	return object.GetLabels()[snapshotv1alpha1.LabelRestore] == string(l.uid())
}

// errPolicy is a Problem that keeps a copy from being used or removed in the round in which its policy was set back: the
// snapshot controller may not have seen it yet.
func errPolicy(name string) *restore.Problem {
	return &restore.Problem{Reason: restore.ReasonSnapshotNotReady, Message: "the deletionPolicy of the VolumeSnapshotContent " + name + " had been changed, and is Retain again"}
}

// retain sets the policy of a copy back that somebody changed: with Delete, removing the copy would delete the snapshot of
// another namespace.
func (l *look) retain(ctx context.Context, content *snapshotv1.VolumeSnapshotContent) error {
	if content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain {
		return nil
	}
	content.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentRetain
	if err := l.Client.Update(ctx, content); err != nil {
		return fmt.Errorf("setting the deletionPolicy of the VolumeSnapshotContent %s back: %w", content.Name, err)
	}
	problem := errPolicy(content.Name)
	l.event(corev1.EventTypeWarning, EventPolicyChanged, "Retain", problem.Message)
	return problem
}
