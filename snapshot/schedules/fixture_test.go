// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	namespace = "shop"
	uid       = "uid-nightly"
	// born is when the schedule of a world is created.
	born = "2026-05-01T00:00:30Z"
)

var key = types.NamespacedName{Namespace: namespace, Name: "nightly"}

// world is an API server with one schedule, of every hour.
type world struct {
	t          *testing.T
	client     client.WithWatch
	raw        client.WithWatch
	clock      *clocktesting.FakeClock
	recorder   *events.FakeRecorder
	metrics    *Metrics
	reconciler *Reconciler
	// writes are all that succeeded, in order.
	writes []string
	// before is called before every write, and may refuse it; after is called when it is done, and may lose the answer.
	before, after func(write string) error
	// listing is called before every list.
	listing func(client.ObjectList) error
}

func at(text string) time.Time {
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return instant
}

func newWorld(t *testing.T, change func(*snapshotv1alpha1.SnapshotSchedule), objects ...client.Object) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakeClock(at(born))}
	schedule := &snapshotv1alpha1.SnapshotSchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: key.Name, UID: uid, Generation: 1, CreationTimestamp: metav1.Time{Time: at(born)}},
		Spec: snapshotv1alpha1.SnapshotScheduleSpec{
			Schedule: "0 * * * *", Retention: snapshotv1alpha1.Retention{Last: 100, MinReady: 1},
			Template:       snapshotv1alpha1.SnapshotTemplate{Spec: snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: []string{"data"}}},
			DeletionPolicy: snapshotv1alpha1.DeletionPolicyRetain,
		},
	}
	if change != nil {
		change(schedule)
	}
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, snapshotv1alpha1.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(known); err != nil {
			t.Fatal(err)
		}
	}
	w.raw = fake.NewClientBuilder().WithScheme(known).WithObjects(append(objects, schedule)...).
		WithStatusSubresource(&snapshotv1alpha1.SnapshotSchedule{}, &snapshotv1alpha1.ApplicationSnapshot{}, &snapshotv1alpha1.SnapshotRestore{}).Build()
	w.client = interceptor.NewClient(w.raw, w.funcs())
	w.restart()
	return w
}

func (w *world) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			object.SetUID(types.UID("uid-" + object.GetName()))
			object.SetCreationTimestamp(metav1.Time{Time: w.clock.Now()})
			return w.write("create "+object.GetName(), func() error { return c.Create(ctx, object, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			asked := (&client.DeleteOptions{}).ApplyOptions(opts)
			if asked.Preconditions == nil || asked.Preconditions.UID == nil || asked.Preconditions.ResourceVersion == nil {
				w.t.Errorf("%s is deleted without preconditions", object.GetName())
			}
			return w.write("delete "+object.GetName(), func() error { return c.Delete(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return w.write("patch "+object.GetName(), func() error { return c.Patch(ctx, object, patch, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.write(sub+" "+object.GetName(), func() error { return c.SubResource(sub).Update(ctx, object, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if w.listing != nil {
				if err := w.listing(list); err != nil {
					return err
				}
			}
			return c.List(ctx, list, opts...)
		},
	}
}

func (w *world) write(what string, do func() error) error {
	if w.before != nil {
		if err := w.before(what); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	w.writes = append(w.writes, what)
	if w.after != nil {
		return w.after(what)
	}
	return nil
}

// restart replaces the reconciler by a new one, which remembers nothing.
func (w *world) restart() {
	w.recorder = events.NewFakeRecorder(1000)
	w.metrics = NewMetrics(w.clock)
	reconciler, err := New(Options{Client: w.client, Memory: w.client, Recorder: w.recorder, Clock: w.clock, Metrics: w.metrics})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reconciler = reconciler
}

// reconcile looks once, and wants no error.
func (w *world) reconcile() reconcile.Result {
	w.t.Helper()
	result, err := w.reconciler.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: key})
	if err != nil {
		w.t.Fatalf("Reconcile: %v", err)
	}
	return result
}

// reconcileAt sets the clock, and looks once.
func (w *world) reconcileAt(text string) reconcile.Result {
	w.t.Helper()
	w.clock.SetTime(at(text))
	return w.reconcile()
}

func (w *world) schedule() *snapshotv1alpha1.SnapshotSchedule {
	w.t.Helper()
	schedule := &snapshotv1alpha1.SnapshotSchedule{}
	if err := w.raw.Get(w.t.Context(), key, schedule); err != nil {
		w.t.Fatal(err)
	}
	return schedule
}

// edit changes the schedule as a person does.
func (w *world) edit(change func(*snapshotv1alpha1.SnapshotScheduleSpec)) {
	w.t.Helper()
	schedule := w.schedule()
	change(&schedule.Spec)
	schedule.Generation++
	if err := w.raw.Update(w.t.Context(), schedule); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) snapshots() []snapshotv1alpha1.ApplicationSnapshot {
	w.t.Helper()
	list := &snapshotv1alpha1.ApplicationSnapshotList{}
	if err := w.raw.List(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// names are those of all ApplicationSnapshots, without the schedule's.
func (w *world) names() []string {
	w.t.Helper()
	var names []string
	for _, snapshot := range w.snapshots() {
		names = append(names, strings.TrimPrefix(snapshot.Name, key.Name+"-"))
	}
	return names
}

// finish gives all snapshots that are being made a phase.
func (w *world) finish(phase snapshotv1alpha1.Phase) {
	w.t.Helper()
	for _, snapshot := range w.snapshots() {
		if slices.Contains([]snapshotv1alpha1.Phase{snapshotv1alpha1.PhaseReady, snapshotv1alpha1.PhaseFailed}, snapshot.Status.Phase) {
			continue
		}
		snapshot.Status.Phase = phase
		if phase != snapshotv1alpha1.PhaseFailed {
			snapshot.Status.CutTime = &metav1.MicroTime{Time: snapshot.CreationTimestamp.Add(1500 * time.Millisecond)}
		}
		if err := w.raw.Status().Update(w.t.Context(), &snapshot); err != nil {
			w.t.Fatal(err)
		}
	}
}

// told are the events since the last call, without their types.
func (w *world) told() []string {
	var told []string
	for {
		select {
		case event := <-w.recorder.Events:
			told = append(told, strings.SplitN(event, " ", 3)[1])
		default:
			return told
		}
	}
}

func (w *world) wantCondition(kind string, status metav1.ConditionStatus, reason string, says ...string) {
	w.t.Helper()
	condition := meta.FindStatusCondition(w.schedule().Status.Conditions, kind)
	if condition == nil || condition.Status != status || condition.Reason != reason {
		w.t.Errorf("condition %s is %+v, want %s, %s", kind, condition, status, reason)
		return
	}
	for _, part := range says {
		if !strings.Contains(condition.Message, part) {
			w.t.Errorf("condition %s says %q, without %q", kind, condition.Message, part)
		}
	}
}

// counted is a metric of this world, with its labels' values behind it.
func (w *world) counted(name string, values ...string) float64 {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.metrics)
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.Metric {
			var labels []string
			for _, label := range metric.Label {
				labels = append(labels, label.GetValue())
			}
			if family.GetName() == name && slices.Equal(labels, values) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

var errQuota = apierrors.NewForbidden(schema.GroupResource{Group: "snapshot.roost.dev", Resource: "applicationsnapshots"}, "x",
	fmt.Errorf("exceeded quota: few, requested: 1, used: 5, limited: 5"))

func refuseCreate(err error) func(string) error {
	return func(write string) error {
		if strings.HasPrefix(write, "create ") {
			return err
		}
		return nil
	}
}

// point is a snapshot of the schedule, cut then.
func point(cut string, changes ...func(*snapshotv1alpha1.ApplicationSnapshot)) *snapshotv1alpha1.ApplicationSnapshot {
	name := slotName(key.Name, at(cut))
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.Time{Time: at(cut)},
			Labels: map[string]string{snapshotv1alpha1.LabelSchedule: uid},
		},
		Status: snapshotv1alpha1.ApplicationSnapshotStatus{
			Phase: snapshotv1alpha1.PhaseReady, CutTime: &metav1.MicroTime{Time: at(cut)},
			Members: []snapshotv1alpha1.SnapshotMember{{
				ClaimName: "data", VolumeSnapshotName: "vs-" + name, VolumeSnapshotUID: types.UID("uid-vs-" + name), State: snapshotv1alpha1.MemberReady,
			}},
		},
	}
	for _, change := range changes {
		change(snapshot)
	}
	return snapshot
}

// staleReader has the schedule as it was.
type staleReader struct {
	client.Reader
	schedule *snapshotv1alpha1.SnapshotSchedule
}

func (r staleReader) Get(ctx context.Context, name client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if schedule, ok := into.(*snapshotv1alpha1.SnapshotSchedule); ok {
		r.schedule.DeepCopyInto(schedule)
		return nil
	}
	return r.Reader.Get(ctx, name, into, opts...)
}

// emptyReader has no ApplicationSnapshot yet.
type emptyReader struct{ client.Reader }

func (r emptyReader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*snapshotv1alpha1.ApplicationSnapshotList); ok {
		return nil
	}
	return r.Reader.List(ctx, list, opts...)
}
