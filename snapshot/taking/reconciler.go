// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/cuts"
	"roost.dev/roost/snapshot/hooks"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/preflight"
)

// Hooks freeze and thaw, as a hooks.Runner does.
type Hooks interface {
	Plan(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (*snapshotv1alpha1.Freeze, error)
	Freeze(ctx context.Context, j *hooks.Journal) error
	Thaw(ctx context.Context, j *hooks.Journal) error
	HeldThrough(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, string)
}

// Gate lets in as many as the limits allow, as a limits.Gate does.
type Gate interface {
	Enter(key types.NamespacedName, load map[string]int) bool
	Resume(key types.NamespacedName, load map[string]int)
	Leave(key types.NamespacedName)
	// Waits says that key has asked, and is going to be woken when it has its place.
	Waits(key types.NamespacedName) bool
}

// Options are what a Reconciler works with. All are required.
type Options struct {
	// Client reads the API server and writes to it.
	Client client.Client
	// Memory has claims, PersistentVolumes, ApplicationSnapshots, VolumeSnapshots, their contents and classes.
	Memory   client.Reader
	Recorder events.EventRecorder
	Clock    clock.Clock
	Hooks    Hooks
	// Gate wakes this loop for the keys that it lets in later.
	Gate    Gate
	Metrics *Metrics
}

// Reconciler takes ApplicationSnapshots. It is for one worker a key.
type Reconciler struct {
	Options
	preflight *preflight.Checker
	cutter    *cuts.Cutter
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler. It is to be woken for ApplicationSnapshots, and for the VolumeSnapshots that they made: those with
// their UID as a label, and those that their status names.
func New(options Options) (*Reconciler, error) {
	if options.Recorder == nil || options.Hooks == nil || options.Gate == nil || options.Metrics == nil {
		return nil, errors.New("taking snapshots needs a recorder, hooks, a gate and metrics")
	}
	checker, err := preflight.New(preflight.Options{Client: options.Client, Memory: options.Memory})
	if err != nil {
		return nil, err
	}
	cutter, err := cuts.New(cuts.Options{Client: options.Client, Memory: options.Memory, Clock: options.Clock})
	if err != nil {
		return nil, err
	}
	return &Reconciler{Options: options, preflight: checker, cutter: cutter}, nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{}
	err := r.Memory.Get(ctx, request.NamespacedName, snapshot)
	if err == nil && r.waits(snapshot) {
		return reconcile.Result{}, nil
	}
	if err == nil && !isAtRest(snapshot) {
		// Who acts on an old status freezes twice.
		err = r.Client.Get(ctx, request.NamespacedName, snapshot)
	}
	if apierrors.IsNotFound(err) {
		r.Gate.Leave(request.NamespacedName)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading ApplicationSnapshot %s: %w", request.NamespacedName, err)
	}
	run := &run{Reconciler: r, key: request.NamespacedName, j: open(r.Client, snapshot)}
	result, err := run.step(ctx)
	var refused *refusedError
	if errors.As(err, &refused) {
		return run.refused(ctx, refused)
	}
	return result, err
}

// open begins a journal. All that can change in the spec is who may restore.
func open(c client.Client, snapshot *snapshotv1alpha1.ApplicationSnapshot) *hooks.Journal {
	j := journal.Open(c, snapshot)
	j.AnySpec = true
	return j
}

// waits says that there is nothing to do until it is a snapshot's turn, and that it says so itself.
func (r *Reconciler) waits(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	said := conditionOf(snapshot, snapshotv1alpha1.ConditionReady)
	return said.Reason == ReasonWaiting && said.ObservedGeneration == snapshot.Generation && snapshot.DeletionTimestamp == nil &&
		r.Gate.Waits(client.ObjectKeyFromObject(snapshot))
}

// isAtRest says that memory will do: nothing is about to be done that the next write of the status does not guard.
func isAtRest(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	if controllerutil.ContainsFinalizer(snapshot, snapshotv1alpha1.FinalizerThaw) || hooks.NeedsThaw(&snapshot.Status) {
		return false
	}
	switch snapshot.Status.Phase {
	case snapshotv1alpha1.PhaseUploading, snapshotv1alpha1.PhaseReady, snapshotv1alpha1.PhaseFailed:
		return true
	case snapshotv1alpha1.PhaseCutting:
		return isBeingCut(snapshot)
	default:
		return snapshot.DeletionTimestamp != nil
	}
}

// isBeingCut says that all is made, of a snapshot that freezes nothing and has no group: the storage system's word is awaited.
func isBeingCut(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	return snapshot.Spec.Hooks == nil && snapshot.Status.Freeze == nil && snapshot.Spec.Mode != snapshotv1alpha1.ModeGroup &&
		all(&snapshot.Status, isMade)
}

// run is one look at one ApplicationSnapshot.
type run struct {
	*Reconciler
	key types.NamespacedName
	j   *hooks.Journal
	// doubt is why a snapshot with hooks is not application-consistent.
	doubt string
}

func (run *run) snapshot() *snapshotv1alpha1.ApplicationSnapshot { return run.j.Object }

func (run *run) status() *snapshotv1alpha1.ApplicationSnapshotStatus { return &run.j.Object.Status }

func (run *run) step(ctx context.Context) (reconcile.Result, error) {
	// A look that begins with this is not the one that froze.
	if hooks.NeedsThaw(run.status()) {
		if err := run.Hooks.Thaw(ctx, run.j); hooks.NeedsThaw(run.status()) {
			return reconcile.Result{}, fmt.Errorf("thawing what ApplicationSnapshot %s froze: %w", run.key, err)
		}
	}
	if run.snapshot().DeletionTimestamp != nil {
		return reconcile.Result{}, run.end(ctx)
	}
	switch run.status().Phase {
	case snapshotv1alpha1.PhaseCutting:
		return run.cutting(ctx, nil)
	case snapshotv1alpha1.PhaseUploading:
		return run.uploading(ctx)
	case snapshotv1alpha1.PhaseReady:
		return run.ready(ctx)
	case snapshotv1alpha1.PhaseFailed:
		return run.cleanUp(ctx, false)
	default:
		return run.pending(ctx)
	}
}

// end lets one go that is being deleted. What it made is its property, and goes with it.
func (run *run) end(ctx context.Context) error {
	run.Gate.Leave(run.key)
	if controllerutil.ContainsFinalizer(run.snapshot(), snapshotv1alpha1.FinalizerThaw) {
		// It may be the last that anybody hears of what was not thawed.
		if err := run.save(ctx); err != nil {
			return err
		}
	}
	return run.release(ctx)
}

// hold puts the finalizer on, where there will be something to undo that the garbage collector cannot.
func (run *run) hold(ctx context.Context) error {
	held := run.snapshot().DeepCopy()
	if !controllerutil.AddFinalizer(held, snapshotv1alpha1.FinalizerThaw) {
		return nil
	}
	return run.patch(ctx, held)
}

// release takes the finalizer off: nothing is frozen, and no claim has a label of this run.
func (run *run) release(ctx context.Context) error {
	released := run.snapshot().DeepCopy()
	if !controllerutil.RemoveFinalizer(released, snapshotv1alpha1.FinalizerThaw) {
		return nil
	}
	if err := run.cutter.Unmark(ctx, released); err != nil {
		return err
	}
	return run.patch(ctx, released)
}

// patch writes metadata. The status has been saved before.
func (run *run) patch(ctx context.Context, changed *snapshotv1alpha1.ApplicationSnapshot) error {
	patch := client.MergeFromWithOptions(run.snapshot(), client.MergeFromWithOptimisticLock{})
	if err := run.Client.Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the finalizers of ApplicationSnapshot %s: %w", run.key, err)
	}
	run.j = open(run.Client, changed)
	return nil
}
