// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/restore"
	"roost.dev/roost/snapshot/workloads"
)

// Pauses between two looks at what no watch tells of.
const (
	shortly = 2 * time.Second
	later   = 15 * time.Second
)

// Limits keep the operations of a storage system few. Enter is idempotent; where it says no, the restore is woken when it may
// try again.
type Limits interface {
	Enter(key types.NamespacedName, load map[string]int) bool
	Leave(key types.NamespacedName)
}

// Options are what a Reconciler needs. All are required.
type Options struct {
	// Client reads the API server itself, and writes.
	Client client.Client
	// Memory has VolumeAttachments and Nodes. It may be behind.
	Memory   client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Limits   Limits
	Metrics  *restore.Metrics
	Phases   *Phases
}

// Reconciler looks after SnapshotRestores with spec.inPlace, and leaves the others alone.
type Reconciler struct {
	Options
	source    restore.Source
	populator restore.Populator
	workloads *workloads.Workloads
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// crdsMissing is the pause where the API server does not serve SnapshotRestores.
const crdsMissing = time.Minute

// New returns a reconciler, or an error that says what is missing.
func New(o Options) (*Reconciler, error) {
	if slices.Contains([]bool{o.Client == nil, o.Memory == nil, o.Recorder == nil, o.Clock == nil, o.Limits == nil, o.Metrics == nil, o.Phases == nil}, true) {
		return nil, errors.New("restores in place need a client, a memory, a recorder, a clock, limits, metrics and phases")
	}
	scaler, err := workloads.New(o.Client)
	if err != nil {
		return nil, err
	}
	return &Reconciler{Options: o, source: restore.Source{Client: o.Client}, populator: restore.Populator{Client: o.Client}, workloads: scaler}, nil
}

// Reconcile brings one SnapshotRestore as far as it goes now. Those with newClaims are not its business.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	found := &snapshotv1alpha1.SnapshotRestore{}
	switch err := r.Client.Get(ctx, request.NamespacedName, found); {
	case apierrors.IsNotFound(err):
		r.Limits.Leave(request.NamespacedName)
		return reconcile.Result{}, nil
	case meta.IsNoMatchError(err):
		return reconcile.Result{RequeueAfter: crdsMissing}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading the SnapshotRestore %s: %w", request.NamespacedName, err)
	case found.Spec.InPlace == nil:
		return reconcile.Result{}, nil
	}
	if isDone(found) {
		return reconcile.Result{}, r.dismiss(ctx, found)
	}
	if !controllerutil.ContainsFinalizer(found, snapshotv1alpha1.FinalizerRestore) && !isGivenUp(found) {
		if !found.DeletionTimestamp.IsZero() {
			return reconcile.Result{}, nil
		}
		if err := r.setFinalizer(ctx, found, true); err != nil {
			return reconcile.Result{}, err
		}
	}
	p := &procedure{Reconciler: r, journal: journal.Open(r.Client, found)}
	return p.run(ctx)
}

// isDone says that nothing is left to do or to undo. One that is asked for a rollback is told that it is too late.
func isDone(object *snapshotv1alpha1.SnapshotRestore) bool {
	switch object.Status.Phase {
	case snapshotv1alpha1.RestoreFailed:
		return true
	case snapshotv1alpha1.RestoreRolledBack:
		return isGivenUp(object)
	case snapshotv1alpha1.RestoreCompleted:
		return isGivenUp(object) && !object.Spec.Rollback || undoableFor(object) == ReasonCannotRollBack
	default:
		return false
	}
}

// isGivenUp says that the volumes were given up which the claims do not have any more.
func isGivenUp(object *snapshotv1alpha1.SnapshotRestore) bool {
	return undoableFor(object) == ReasonGivenUp
}

// undoableFor is why a restore can be undone, or not.
func undoableFor(object *snapshotv1alpha1.SnapshotRestore) string {
	if undoable := meta.FindStatusCondition(object.Status.Conditions, snapshotv1alpha1.ConditionUndoable); undoable != nil {
		return undoable.Reason
	}
	return ""
}

// dismiss takes the finalizer off: without Roost, a namespace with this object could not be deleted any more.
func (r *Reconciler) dismiss(ctx context.Context, object *snapshotv1alpha1.SnapshotRestore) error {
	r.Limits.Leave(client.ObjectKeyFromObject(object))
	if !controllerutil.ContainsFinalizer(object, snapshotv1alpha1.FinalizerRestore) {
		return nil
	}
	return client.IgnoreNotFound(r.setFinalizer(ctx, object, false))
}

// setFinalizer puts the finalizer on the object as it was read, or takes it away.
func (r *Reconciler) setFinalizer(ctx context.Context, object *snapshotv1alpha1.SnapshotRestore, on bool) error {
	before := object.DeepCopy()
	if on {
		controllerutil.AddFinalizer(object, snapshotv1alpha1.FinalizerRestore)
	} else {
		controllerutil.RemoveFinalizer(object, snapshotv1alpha1.FinalizerRestore)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, object, patch); err != nil {
		return fmt.Errorf("changing the finalizer of %s: %w", client.ObjectKeyFromObject(object), err)
	}
	return nil
}

// claim reads a claim of the API server itself. It is nil where there is none.
func (r *Reconciler) claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	found := &corev1.PersistentVolumeClaim{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading claim %s: %w", name, err)
	}
	return found, nil
}

// volume reads a volume of the API server itself. It is nil where there is none.
func (r *Reconciler) volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	found := &corev1.PersistentVolume{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading volume %s: %w", name, err)
	}
	return found, nil
}
