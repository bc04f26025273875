// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// populate makes the claims that are missing, and waits for the storage system to fill them.
func (l *look) populate(ctx context.Context) (reconcile.Result, error) {
	err := l.observe(ctx)
	if err == nil && !l.filled() {
		err = l.advance(ctx)
	}
	problem, ok := restore.AsProblem(err)
	if ok && problem.Reason != ReasonQueued && !l.inFlight() {
		// Who waits for a quota, or for consent, takes nobody's place.
		l.Limits.Leave(l.key)
	}
	switch {
	case err != nil && !ok:
		// The UIDs of the claims that were made are worth keeping.
		return reconcile.Result{}, errors.Join(err, l.journal.Save(ctx))
	case ok:
		return l.wait(ctx, problem)
	case l.filled():
		return l.complete(ctx)
	default:
		return l.wait(ctx, &restore.Problem{Reason: ReasonPopulating, Message: "waits for the storage system to fill " + l.unfilled()})
	}
}

// observe looks at the claims that were made.
func (l *look) observe(ctx context.Context) error {
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		if claim.UID == "" {
			continue
		}
		object, err := l.claim(ctx, claim)
		if err != nil {
			return err
		}
		if err := l.judge(ctx, claim, object); err != nil {
			return err
		}
	}
	return nil
}

// claim is a claim that was made, or nil where it is gone. What memory has, it has from the API server, and a claim that was
// seen there is what it was; that one is gone is taken from the API server alone.
func (l *look) claim(ctx context.Context, claim *snapshotv1alpha1.RestoredClaim) (*corev1.PersistentVolumeClaim, error) {
	key, object := types.NamespacedName{Namespace: l.key.Namespace, Name: claim.Name}, &corev1.PersistentVolumeClaim{}
	if err := l.Memory.Get(ctx, key, object); err == nil && object.UID == claim.UID {
		return object, nil
	}
	object = &corev1.PersistentVolumeClaim{}
	switch err := l.Client.Get(ctx, key, object); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the claim %s: %w", key, err)
	case object.UID != claim.UID:
		return nil, nil
	}
	return object, nil
}

// judge says in the journal how far a claim is. One whose class waits for a pod is as far as we can bring it.
func (l *look) judge(ctx context.Context, claim *snapshotv1alpha1.RestoredClaim, object *corev1.PersistentVolumeClaim) error {
	switch {
	case object == nil || object.DeletionTimestamp != nil:
		return &restore.Problem{Reason: ReasonClaimGone, Message: "the claim " + claim.Name + " was deleted before the restore was done", Final: true}
	case object.Status.Phase == corev1.ClaimLost:
		return &restore.Problem{Reason: ReasonClaimGone, Message: "the claim " + claim.Name + " has lost its volume", Final: true}
	case object.Status.Phase == corev1.ClaimBound:
		claim.State, claim.NewVolume, claim.Message = snapshotv1alpha1.ClaimRestored, object.Spec.VolumeName, ""
		return nil
	}
	class, err := l.class(ctx, claim.StorageClassName)
	switch {
	case err != nil:
		return err
	case class != nil && restore.WaitsForPod(class):
		claim.State, claim.Message = snapshotv1alpha1.ClaimRestored, messageWaitsForPod
	default:
		claim.State, claim.Message = snapshotv1alpha1.ClaimPopulating, "waits for the storage system"
	}
	return nil
}

// advance makes the claims that are missing, with a place. The snapshot has to stay until the last is filled.
func (l *look) advance(ctx context.Context) error {
	entered, err := l.enter(ctx, l.status().Claims)
	switch {
	case err != nil:
		return err
	case !entered:
		return &restore.Problem{Reason: ReasonQueued, Message: messageQueued}
	}
	snapshot, err := l.source.Snapshot(ctx, l.journal.Object)
	if problem, ok := restore.AsProblem(err); ok && !problem.Final && l.allMade() {
		// Who took consent back is too late for these.
		return nil
	}
	if err != nil {
		return err
	}
	var all problems
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		if claim.UID != "" {
			continue
		}
		err := l.make(ctx, snapshot, claim)
		if problem, ok := restore.AsProblem(err); ok {
			claim.Message = cut(problem.Message, maxClaimMessage)
		}
		if err = all.collect(err); err != nil {
			return err
		}
	}
	if problem := all.one(); problem != nil {
		return problem
	}
	return nil
}

// make makes one claim, through a copy of the snapshot where that is another namespace's.
func (l *look) make(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, claim *snapshotv1alpha1.RestoredClaim) error {
	member := restore.MemberOf(snapshot, claim.From)
	if member == nil {
		return &restore.Problem{Reason: restore.ReasonSourceGone, Message: "the ApplicationSnapshot has no member " + claim.From + " any more", Final: true}
	}
	if l.crosses() {
		if err := l.ensureCopy(ctx, snapshot, member, claim); err != nil {
			return err
		}
	}
	object, err := l.populator.Ensure(ctx, l.request(snapshot, member, claim))
	if err != nil {
		return err
	}
	claim.UID = object.UID
	return l.judge(ctx, claim, object)
}

// enter asks for a place for the claims that the storage system has yet to fill. Those that wait for a pod need none.
func (l *look) enter(ctx context.Context, claims []snapshotv1alpha1.RestoredClaim) (bool, error) {
	load := map[string]int{}
	for i := range claims {
		if claims[i].State == snapshotv1alpha1.ClaimRestored {
			continue
		}
		class, err := l.class(ctx, claims[i].StorageClassName)
		if err != nil {
			return false, err
		}
		if class != nil && !restore.WaitsForPod(class) {
			load[class.Provisioner]++
		}
	}
	if len(load) == 0 {
		l.Limits.Leave(l.key)
		return true, nil
	}
	return l.Limits.Enter(l.key, load), nil
}

// class is a StorageClass, or nil where there is none.
func (l *look) class(ctx context.Context, name string) (*storagev1.StorageClass, error) {
	if class, err := restore.StorageClass(ctx, l.Memory, name); err == nil {
		return class, nil
	}
	class, err := restore.StorageClass(ctx, l.Client, name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the StorageClass %s: %w", name, err)
	}
	return class, nil
}

// filled says that every claim is as far as it comes.
func (l *look) filled() bool { return len(l.names(notRestored)) == 0 }

func (l *look) unfilled() string { return strings.Join(l.names(notRestored), ", ") }

func (l *look) allMade() bool {
	return len(l.names(func(claim *snapshotv1alpha1.RestoredClaim) bool { return claim.UID == "" })) == 0
}

// inFlight says that the storage system fills claims.
func (l *look) inFlight() bool {
	return len(l.names(func(claim *snapshotv1alpha1.RestoredClaim) bool { return claim.UID != "" && notRestored(claim) })) > 0
}

// names are the claims of a kind.
func (l *look) names(of func(*snapshotv1alpha1.RestoredClaim) bool) []string {
	var names []string
	for i := range l.status().Claims {
		if claim := &l.status().Claims[i]; of(claim) {
			names = append(names, claim.Name)
		}
	}
	return names
}

func notRestored(claim *snapshotv1alpha1.RestoredClaim) bool {
	return claim.State != snapshotv1alpha1.ClaimRestored
}
