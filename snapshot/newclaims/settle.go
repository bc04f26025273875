// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

const (
	// removing is the pause until what was deleted may be gone.
	removing = 5 * time.Second
	// waiting is the pause of one whose claims wait for a pod: it is woken when they change.
	waiting = 10 * time.Minute
)

// settle is what remains to be done for a restore that is over: a failed one removes what it made, and each its copies of
// another namespace's snapshots, once no claim is filled from them any more. The finalizer says that something remains.
func (l *look) settle(ctx context.Context) (reconcile.Result, error) {
	held := controllerutil.ContainsFinalizer(l.journal.Object, snapshotv1alpha1.FinalizerRestore)
	if !held && len(l.names(restore.Unfilled)) == 0 {
		return reconcile.Result{}, nil
	}
	left, copies, err := l.tidy(ctx, held)
	unfilled := len(l.names(restore.Unfilled)) > 0
	l.explain(copies && unfilled)
	// What was found out before an error is worth keeping.
	if err := errors.Join(err, l.journal.Save(ctx)); err != nil {
		return reconcile.Result{}, err
	}
	switch {
	case left.Len() > 0 || (copies && !unfilled):
		return reconcile.Result{RequeueAfter: removing}, nil
	case copies:
		return reconcile.Result{RequeueAfter: waiting}, nil
	}
	if err := l.release(ctx); err != nil || !unfilled {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: waiting}, nil
}

// explain says what became of the claims, and why a restore that is deleted is still there where it has to be.
func (l *look) explain(needed bool) {
	if l.status().Phase == snapshotv1alpha1.RestoreCompleted {
		l.describe(ReasonRestored, l.outcome())
	}
	if needed && l.journal.Object.DeletionTimestamp != nil {
		l.status().Message = cut("is deleted as soon as these claims are filled from the copies that it holds, or are deleted: "+
			strings.Join(l.names(restore.Unfilled), ", "), maxMessage)
	}
}

// tidy returns the claims that are still to go, and whether there are still copies.
func (l *look) tidy(ctx context.Context, held bool) (left sets.Set[string], copies bool, err error) {
	left = sets.New[string]()
	if held && l.status().Phase == snapshotv1alpha1.RestoreFailed {
		if left, err = l.discard(ctx); err != nil {
			return left, true, err
		}
	}
	if err := l.follow(ctx); err != nil || !held {
		return left, false, err
	}
	copies, err = l.removeCopies(ctx, left)
	return left, copies, err
}

// follow looks whether claims that waited for their first pod have their volume, or are gone.
func (l *look) follow(ctx context.Context) error {
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		if !restore.Unfilled(claim) {
			continue
		}
		object, err := l.claim(ctx, claim)
		switch {
		case err != nil:
			return err
		case object == nil:
			claim.State, claim.Message = snapshotv1alpha1.ClaimFailed, "was deleted before it was filled"
		case object.Status.Phase == corev1.ClaimBound:
			claim.NewVolume, claim.Message = object.Spec.VolumeName, ""
		}
	}
	return nil
}

// release lets the restore go, when it is deleted.
func (l *look) release(ctx context.Context) error {
	object := l.journal.Object.DeepCopy()
	if !controllerutil.RemoveFinalizer(object, snapshotv1alpha1.FinalizerRestore) {
		return nil
	}
	err := l.Client.Patch(ctx, object, client.MergeFromWithOptions(l.journal.Object, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer of the SnapshotRestore %s: %w", l.key, err)
	}
	return nil
}
