// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/groupapi"
)

// Options are what a Cutter works with. All are required.
type Options struct {
	// Client reads the API server and writes to it.
	Client client.Client
	// Memory has claims, PersistentVolumes, VolumeSnapshots and VolumeSnapshotContents.
	Memory client.Reader
	Clock  clock.PassiveClock
}

// Cutter makes, observes and removes snapshots.
type Cutter struct {
	Options
	groups *groupapi.Client
}

// New returns a Cutter.
func New(options Options) (*Cutter, error) {
	if options.Client == nil || options.Memory == nil || options.Clock == nil {
		return nil, errors.New("cuts need a client, a memory and a clock")
	}
	return &Cutter{Options: options, groups: groupapi.New(options.Client)}, nil
}

// isGroup says that one VolumeGroupSnapshot is all there is to make.
func isGroup(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	return snapshot.Spec.Mode == snapshotv1alpha1.ModeGroup
}

// meta is that of whatever is made. The owner does not wait for it when it is deleted in the foreground.
func metaOf(snapshot *snapshotv1alpha1.ApplicationSnapshot, name string) metav1.ObjectMeta {
	owner := metav1.NewControllerRef(snapshot, snapshotv1alpha1.GroupVersion.WithKind("ApplicationSnapshot"))
	owner.BlockOwnerDeletion = ptr.To(false)
	return metav1.ObjectMeta{
		Namespace: snapshot.Namespace, Name: name,
		Labels:          map[string]string{snapshotv1alpha1.LabelSnapshot: string(snapshot.UID)},
		OwnerReferences: []metav1.OwnerReference{*owner},
	}
}

// isOurs says that an object was made for this ApplicationSnapshot, and not for another one of its name.
func isOurs(object metav1.Object, snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	return object.GetLabels()[snapshotv1alpha1.LabelSnapshot] == string(snapshot.UID)
}

func fail(member *snapshotv1alpha1.SnapshotMember, message string) {
	member.State, member.Message = snapshotv1alpha1.MemberFailed, short(message)
}

func failAll(snapshot *snapshotv1alpha1.ApplicationSnapshot, message string) {
	for i := range snapshot.Status.Members {
		fail(&snapshot.Status.Members[i], message)
	}
}

func claimKey(snapshot *snapshotv1alpha1.ApplicationSnapshot, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: snapshot.Namespace, Name: name}
}

// isMember says that a claim is the one that was settled, and not another one of its name.
func isMember(claim *corev1.PersistentVolumeClaim, member *snapshotv1alpha1.SnapshotMember) bool {
	return claim.UID == member.ClaimUID && claim.DeletionTimestamp == nil
}
