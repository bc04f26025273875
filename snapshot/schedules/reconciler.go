// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// longest is how long a schedule is left alone at most. Timers of weeks outlive changes of the clock.
	longest = time.Hour
	// soon is when to look again at what had changed meanwhile.
	soon = time.Second
	// missingKinds is when to look again for CRDs.
	missingKinds = time.Minute
)

// errStale is that the API server has the schedule otherwise than memory.
var errStale = errors.New("the schedule changed meanwhile")

// Options are what a Reconciler needs. All are required.
type Options struct {
	// Client reads the API server itself, and writes.
	Client client.Client
	// Memory has SnapshotSchedules, ApplicationSnapshots, SnapshotRestores, PersistentVolumeClaims and VolumeSnapshotContents.
	Memory   client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Metrics  *Metrics
}

// Reconciler brings SnapshotSchedules up to date, one at a call. It is to be called for changes of a SnapshotSchedule and of
// the ApplicationSnapshots that carry its UID, and when the time comes that it asks for.
type Reconciler struct {
	Options
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler.
func New(options Options) (*Reconciler, error) {
	for name, missing := range map[string]bool{
		"Client": options.Client == nil, "Memory": options.Memory == nil, "Recorder": options.Recorder == nil,
		"Clock": options.Clock == nil, "Metrics": options.Metrics == nil,
	} {
		if missing {
			return nil, fmt.Errorf("schedules.Options.%s is not set", name)
		}
	}
	return &Reconciler{Options: options}, nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	schedule := &snapshotv1alpha1.SnapshotSchedule{}
	err := r.Memory.Get(ctx, request.NamespacedName, schedule)
	switch {
	case meta.IsNoMatchError(err):
		return reconcile.Result{RequeueAfter: missingKinds}, nil
	case apierrors.IsNotFound(err) || err == nil && schedule.DeletionTimestamp != nil:
		r.Metrics.forget(request.NamespacedName)
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading SnapshotSchedule %s: %w", request, err)
	}
	p := newPass(r, schedule)
	err = p.run(ctx)
	if errors.Is(err, errStale) || apierrors.IsConflict(err) {
		klog.FromContext(ctx).V(4).Info("Schedule changed meanwhile, looking again", "schedule", klog.KObj(schedule))
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: p.again()}, nil
}
