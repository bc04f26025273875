// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/restore"
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
	// Memory has PersistentVolumeClaims and StorageClasses. It may be behind.
	Memory   client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Limits   Limits
	Metrics  *restore.Metrics
}

// Reconciler looks after SnapshotRestores with spec.newClaims, and leaves the others alone.
type Reconciler struct {
	Options
	source    restore.Source
	populator restore.Populator
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// crdsMissing is the pause where the API server does not serve SnapshotRestores.
const crdsMissing = time.Minute

// New returns a reconciler, or an error that says what is missing.
func New(o Options) (*Reconciler, error) {
	if o.Client == nil || o.Memory == nil || o.Recorder == nil || o.Clock == nil || o.Limits == nil || o.Metrics == nil {
		return nil, errors.New("restores into new claims need a client, a memory, a recorder, a clock, limits and metrics")
	}
	return &Reconciler{Options: o, source: restore.Source{Client: o.Client}, populator: restore.Populator{Client: o.Client}}, nil
}

// Reconcile implements reconcile.Reconciler. It reads the restore from the API server: a journal that is behind would make
// claims again.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := &snapshotv1alpha1.SnapshotRestore{}
	switch err := r.Client.Get(ctx, request.NamespacedName, object); {
	case apierrors.IsNotFound(err):
		r.Limits.Leave(request.NamespacedName)
		return reconcile.Result{}, nil
	case meta.IsNoMatchError(err):
		return reconcile.Result{RequeueAfter: crdsMissing}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading the SnapshotRestore %s: %w", request.NamespacedName, err)
	case object.Spec.NewClaims == nil:
		return reconcile.Result{}, nil
	}
	l := &look{Reconciler: r, key: request.NamespacedName, journal: journal.Open[*snapshotv1alpha1.SnapshotRestore](r.Client, object)}
	return l.run(ctx)
}

// look is one look after one restore.
type look struct {
	*Reconciler
	key     types.NamespacedName
	journal *journal.Journal[*snapshotv1alpha1.SnapshotRestore]
}

func (l *look) run(ctx context.Context) (reconcile.Result, error) {
	switch object := l.journal.Object; {
	case restore.Over(object):
		l.Limits.Leave(l.key)
		return l.settle(ctx)
	case object.DeletionTimestamp != nil:
		return l.abort(ctx)
	case object.Status.Phase == snapshotv1alpha1.RestorePopulating:
		return l.populate(ctx)
	default:
		return l.begin(ctx)
	}
}

func (l *look) status() *snapshotv1alpha1.SnapshotRestoreStatus { return &l.journal.Object.Status }

func (l *look) uid() types.UID { return l.journal.Object.UID }

// crosses says that the snapshot is another namespace's.
func (l *look) crosses() bool { return restore.CrossesNamespaces(l.journal.Object) }
