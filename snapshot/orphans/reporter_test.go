// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package orphans

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/snapshot/snapshottest"
)

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func content(name string, of types.UID, policy snapshotv1.DeletionPolicy) *snapshotv1.VolumeSnapshotContent {
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Finalizers: []string{"snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver: "csi.example.com", DeletionPolicy: policy,
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: "default", Name: "nightly-a", UID: of},
		},
	}
}

type fixture struct {
	*Reporter
	t        *testing.T
	process  *snapshottest.Process
	clock    *clocktesting.FakeClock
	recorder *events.FakeRecorder
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	t.Helper()
	clock := snapshottest.NewClock(start)
	f := &fixture{t: t, clock: clock.FakeClock, recorder: events.NewFakeRecorder(100), process: snapshottest.NewProcess(snapshottest.NewAPI(clock, "", objects...))}
	var err error
	if f.Reporter, err = New(Options{Memory: f.process, Recorder: f.recorder, Clock: f.clock, Metrics: NewMetrics()}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) look(after time.Duration) {
	f.t.Helper()
	f.clock.Step(after)
	if err := f.Look(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) want(events int, counts map[group]int) {
	f.t.Helper()
	if got := len(f.recorder.Events); got != events {
		f.t.Errorf("%d events, want %d", got, events)
	}
	if diff := cmp.Diff(counts, f.Metrics.counts, cmp.AllowUnexported(group{})); diff != "" {
		f.t.Errorf("orphans (-want +got):\n%s", diff)
	}
	if len(f.process.Writes) > 0 {
		f.t.Errorf("written: %q, want nothing, ever", f.process.Writes)
	}
}

func TestOrphansAreReportedOnceAndKept(t *testing.T) {
	snapshot := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "nightly-a", UID: "alive"}}
	deleting := content("deleting", "gone", snapshotv1.VolumeSnapshotContentDelete)
	deleting.DeletionTimestamp = &metav1.Time{Time: start}
	f := newFixture(t, snapshot, deleting,
		content("of-one-alive", "alive", snapshotv1.VolumeSnapshotContentDelete),
		content("made-by-hand", "", snapshotv1.VolumeSnapshotContentRetain),
		content("retained", "gone", snapshotv1.VolumeSnapshotContentRetain),
		content("lost", "gone", snapshotv1.VolumeSnapshotContentDelete))
	all := map[group]int{{"csi.example.com", ReasonRetained}: 1, {"csi.example.com", ReasonLost}: 1, {"csi.example.com", ReasonDeleting}: 1}
	f.look(0)
	f.want(0, map[group]int{})
	f.look(DefaultGrace - time.Second)
	f.want(0, map[group]int{})
	f.look(time.Second)
	f.want(3, all)
	f.look(time.Hour)
	f.want(3, all)
}

// TestOneLookIsNotEnough has a content appear long after the reporter began.
func TestOneLookIsNotEnough(t *testing.T) {
	f := newFixture(t, content("lost", "late", snapshotv1.VolumeSnapshotContentDelete))
	f.look(time.Hour)
	f.want(0, map[group]int{})
	if err := f.process.Create(t.Context(), &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "nightly-a", UID: "late"}}); err != nil {
		t.Fatal(err)
	}
	f.process.Writes = nil
	f.look(time.Hour)
	f.want(0, map[group]int{})
}

type failing struct {
	client.Reader
	err error
}

func (r *failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return r.err }

func TestKindsThatAreNotServedAreNoOrphans(t *testing.T) {
	f := newFixture(t, content("lost", "gone", snapshotv1.VolumeSnapshotContentDelete))
	f.look(0)
	f.look(time.Hour)
	f.want(1, map[group]int{{"csi.example.com", ReasonLost}: 1})
	f.Memory = &failing{err: errors.New("no connection")}
	if err := f.Look(t.Context()); err == nil {
		t.Error("no error of a list that failed")
	}
	f.want(1, map[group]int{{"csi.example.com", ReasonLost}: 1})
	f.Memory = &failing{err: &meta.NoKindMatchError{}}
	f.look(time.Hour)
	f.want(1, map[group]int{})
}

func TestStartLooksEveryInterval(t *testing.T) {
	f := newFixture(t, content("lost", "gone", snapshotv1.VolumeSnapshotContentDelete))
	ctx, cancel := context.WithCancel(t.Context())
	ticks := &ticking{FakeClock: f.clock, until: 4, cancel: cancel}
	f.Clock = ticks
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	f.want(1, map[group]int{{"csi.example.com", ReasonLost}: 1})
	if want := slices.Repeat([]time.Duration{DefaultInterval}, 1); !slices.Equal(want, ticks.intervals) {
		t.Errorf("intervals %v, want %v", ticks.intervals, want)
	}
}

// ticking is a clock whose ticker ticks whenever somebody waits for it, and ends the context after some ticks.
type ticking struct {
	*clocktesting.FakeClock
	until     int
	cancel    context.CancelFunc
	intervals []time.Duration
}

func (c *ticking) NewTicker(d time.Duration) clock.Ticker {
	c.intervals = append(c.intervals, d)
	return &tick{clock: c, every: d}
}

type tick struct {
	clock *ticking
	every time.Duration
}

func (t *tick) Stop() {}

func (t *tick) C() <-chan time.Time {
	up := make(chan time.Time, 1)
	if t.clock.until--; t.clock.until < 0 {
		t.clock.cancel()
		return nil
	}
	t.clock.Step(t.every)
	up <- t.clock.Now()
	return up
}
