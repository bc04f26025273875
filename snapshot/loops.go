// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/hooks"
	"roost.dev/roost/snapshot/inplace"
	"roost.dev/roost/snapshot/limits"
	"roost.dev/roost/snapshot/newclaims"
	"roost.dev/roost/snapshot/orphans"
	"roost.dev/roost/snapshot/restore"
	"roost.dev/roost/snapshot/schedules"
	"roost.dev/roost/snapshot/taking"
)

// Options are what the loops need. All are required.
type Options struct {
	Feed *Feed
	// Client reads from the API server itself, and writes. Its limit of requests is these loops' own.
	Client client.Client
	// Urgent is such a client too, with a limit for itself: for what is read while an application is held still.
	Urgent client.Client
	// Executor runs commands in pods.
	Executor hooks.Executor
	// Config has its defaults and is valid.
	Config   managerv1alpha1.Snapshots
	Recorder events.EventRecorder
	Clock    clock.WithTicker
	Metrics  *Metrics
}

// NewTaking returns the loop that takes ApplicationSnapshots.
func NewTaking(o Options) (manager.Runnable, error) {
	admitted := &waker{}
	gate := limits.New(limitsOf(o.Config.MaxSnapshots), admitted.wake)
	o.Metrics.snapshotGate.Store(gate)
	reconciler, err := taking.New(taking.Options{
		Client: o.Client, Memory: o.Feed.Reader(), Recorder: o.Recorder, Clock: o.Clock, Gate: gate, Metrics: o.Metrics.taking,
		Hooks: hooks.New(hooks.Options{
			Client: o.Urgent, Memory: o.Feed.Reader(), Executor: o.Executor, Clock: o.Clock, Metrics: o.Metrics.hooks,
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("making the loop of snapshots: %w", err)
	}
	return &loop{
		name: "applicationsnapshot", feed: o.Feed, reconciler: reconciler, workers: int(o.Config.Workers),
		sources: []source.Source{
			admitted.source(),
			listenedBy(o.Feed.snapshots, itself[*snapshotv1alpha1.ApplicationSnapshot], ofSnapshot),
			listenedBy(o.Feed.csiSnapshots, o.Feed.snapshotOf, func(*snapshotv1.VolumeSnapshot) int { return begun }),
		},
	}, nil
}

// snapshotOf is the ApplicationSnapshot that a VolumeSnapshot was made for: its owner, or the one that has its group.
func (f *Feed) snapshotOf(object *snapshotv1.VolumeSnapshot) []types.NamespacedName {
	owner := metav1.GetControllerOfNoCopy(object)
	switch {
	case owner == nil:
		return nil
	case owner.Kind == "ApplicationSnapshot":
		return []types.NamespacedName{{Namespace: object.Namespace, Name: owner.Name}}
	case owner.Kind != "VolumeGroupSnapshot":
		return nil
	}
	for _, candidate := range f.snapshots.in(object.Namespace) {
		if candidate.Status.GroupSnapshotUID == owner.UID {
			return itself(candidate)
		}
	}
	return nil
}

// NewSchedules returns the loop of SnapshotSchedules.
func NewSchedules(o Options) (manager.Runnable, error) {
	reconciler, err := schedules.New(schedules.Options{
		Client: o.Client, Memory: o.Feed.Reader(), Recorder: o.Recorder, Clock: o.Clock, Metrics: o.Metrics.schedules,
	})
	if err != nil {
		return nil, fmt.Errorf("making the loop of schedules: %w", err)
	}
	return &loop{
		name: "snapshotschedule", feed: o.Feed, reconciler: reconciler, workers: int(o.Config.Workers),
		sources: []source.Source{
			listened(o.Feed.schedules, itself[*snapshotv1alpha1.SnapshotSchedule]),
			listened(o.Feed.snapshots, o.Feed.scheduleOf),
		},
	}, nil
}

// scheduleOf is the SnapshotSchedule that made an ApplicationSnapshot.
func (f *Feed) scheduleOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) []types.NamespacedName {
	uid := snapshot.Labels[snapshotv1alpha1.LabelSchedule]
	if uid == "" {
		return nil
	}
	for _, schedule := range f.schedules.in(snapshot.Namespace) {
		if string(schedule.UID) == uid {
			return itself(schedule)
		}
	}
	return nil
}

// NewRestores returns the loop of SnapshotRestores, of which those into new claims and those in place have a half each.
func NewRestores(o Options) (manager.Runnable, error) {
	intoNew, inPlace := &waker{}, &waker{}
	gate := limits.New(limitsOf(o.Config.MaxRestores), func(key types.NamespacedName) {
		intoNew.wake(key)
		inPlace.wake(key)
	})
	o.Metrics.restoreGate.Store(gate)
	newClaims, err := newclaims.New(newclaims.Options{
		Client: o.Client, Memory: o.Feed.Reader(), Recorder: o.Recorder, Clock: o.Clock, Limits: gate, Metrics: o.Metrics.restores,
	})
	if err != nil {
		return nil, fmt.Errorf("making the loop of restores into new claims: %w", err)
	}
	replaced, err := inplace.New(inplace.Options{
		Client: o.Client, Memory: o.Feed.Reader(), Recorder: o.Recorder, Clock: o.Clock, Limits: gate, Metrics: o.Metrics.restores,
		Phases: o.Metrics.phases,
	})
	if err != nil {
		return nil, fmt.Errorf("making the loop of restores in place: %w", err)
	}
	return both{
		&loop{
			name: "snapshotrestore-newclaims", feed: o.Feed, reconciler: newClaims, workers: int(o.Config.Workers),
			sources: []source.Source{
				intoNew.source(),
				listened(o.Feed.restores, ifInto(func(spec *snapshotv1alpha1.SnapshotRestoreSpec) bool { return spec.NewClaims != nil })),
				listened(o.Feed.snapshots, o.Feed.restoresOf),
				listened(o.Feed.csiSnapshots, func(object *snapshotv1.VolumeSnapshot) []types.NamespacedName { return newclaims.RestoreOf(object) }),
				listened(o.Feed.csiContents, newclaims.RestoreOfContent),
				informed(o.Feed.claims, func(claim *corev1.PersistentVolumeClaim) []types.NamespacedName { return newclaims.RestoreOf(claim) }),
			},
		},
		&loop{
			name: "snapshotrestore-inplace", feed: o.Feed, reconciler: replaced, workers: int(o.Config.Workers),
			sources: []source.Source{
				inPlace.source(),
				listened(o.Feed.restores, ifInto(func(spec *snapshotv1alpha1.SnapshotRestoreSpec) bool { return spec.InPlace != nil })),
				listened(o.Feed.snapshots, o.Feed.restoresOf),
				informed(o.Feed.claims, func(claim *corev1.PersistentVolumeClaim) []types.NamespacedName { return inplace.RestoreOf(claim) }),
			},
		},
	}, nil
}

// ifInto is itself for the SnapshotRestores of one kind: each of the two halves reads from the API server what it is woken for.
func ifInto(kind func(*snapshotv1alpha1.SnapshotRestoreSpec) bool) func(*snapshotv1alpha1.SnapshotRestore) []types.NamespacedName {
	return func(one *snapshotv1alpha1.SnapshotRestore) []types.NamespacedName {
		if !kind(&one.Spec) {
			return nil
		}
		return itself(one)
	}
}

// restoresOf are the SnapshotRestores that wait for an ApplicationSnapshot: as their source, or for the safety of what they
// replace.
func (f *Feed) restoresOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) []types.NamespacedName {
	found := inplace.RestoreOf(snapshot)
	source := client.ObjectKeyFromObject(snapshot)
	for _, one := range f.restores.in("") {
		if !restore.Over(one) && restore.SourceKey(one) == source {
			found = append(found, client.ObjectKeyFromObject(one))
		}
	}
	return found
}

// NewOrphans returns the loop that reports VolumeSnapshotContents which have lost their VolumeSnapshot.
func NewOrphans(o Options) (manager.Runnable, error) {
	reporter, err := orphans.New(orphans.Options{
		Memory: o.Feed.Reader(), Recorder: o.Recorder, Clock: o.Clock, Interval: o.Config.OrphanPeriod.Duration, Metrics: o.Metrics.orphans,
	})
	if err != nil {
		return nil, fmt.Errorf("making the loop of orphans: %w", err)
	}
	return manager.RunnableFunc(func(ctx context.Context) error {
		if !o.Feed.WaitForSync(ctx) {
			return nil
		}
		return reporter.Start(ctx)
	}), nil
}

func limitsOf(c managerv1alpha1.Concurrency) limits.Limits {
	return limits.Limits{PerDriver: int(c.PerDriver), PerNamespace: int(c.PerNamespace), Cluster: int(c.Cluster)}
}

// both are two loops that run and end together.
type both [2]*loop

// Start implements controller-runtime's Runnable.
func (b both) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(b))
	for _, l := range b {
		go func() { ended <- l.Start(ctx) }()
	}
	first := <-ended
	cancel()
	if second := <-ended; first == nil {
		return second
	}
	return first
}
