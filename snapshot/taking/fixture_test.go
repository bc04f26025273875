// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/snapshot/groupapi"
	"roost.dev/roost/snapshot/hooks"
	"roost.dev/roost/snapshot/limits"
	"roost.dev/roost/snapshot/preflight"
	"roost.dev/roost/snapshot/snapshottest"
)

const (
	driver    = "csi.example.com"
	groupV1   = "v1"
	classGold = "gold"
)

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// world is a namespace with claims a and b, and what takes their snapshots.
type world struct {
	t          *testing.T
	clock      *snapshottest.Clock
	api        client.WithWatch
	controller *snapshottest.Controller
	pods       *pods

	process  *snapshottest.Process
	gate     *limits.Gate
	recorder *events.FakeRecorder
	events   []string
	woken    []types.NamespacedName
	r        *Reconciler
}

// pods is what hooks freeze, and how they fail.
type pods struct {
	frozen                  bool
	freezes, thaws          int
	thawedAt                time.Time
	planFails, freezeFails  error
	thawFails, refusedFirst bool
	notHeld                 string
	// thawing runs before a thaw.
	thawing func()
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{t: t, clock: snapshottest.NewClock(start), pods: &pods{}, recorder: events.NewFakeRecorder(10000)}
	objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: builders.Namespace}},
		snapshotClass(classGold, driver), groupClass())
	objects = append(objects, boundClaim("a")...)
	objects = append(objects, boundClaim("b")...)
	w.api = snapshottest.NewAPI(w.clock, groupV1, objects...)
	w.controller = &snapshottest.Controller{
		API: w.api, Clock: w.clock, Driver: driver,
		Default: snapshottest.Script{Bind: 500 * time.Millisecond, Cut: time.Second, Ready: 5 * time.Second},
		Scripts: map[string]snapshottest.Script{},
	}
	w.clock.Play = func() {
		if err := w.controller.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	return w
}

// restart begins a process that remembers nothing.
func (w *world) restart() {
	w.process = snapshottest.NewProcess(w.api)
	w.gate = limits.New(limits.Limits{PerDriver: 10, PerNamespace: 10, Cluster: 10}, w.noteWake)
	w.r = w.newReconciler(w.api)
}

func (w *world) noteWake(key types.NamespacedName) { w.woken = append(w.woken, key) }

func (w *world) newReconciler(memory client.Reader) *Reconciler {
	r, err := New(Options{
		Client: w.process, Memory: memory, Recorder: w.recorder, Clock: w.clock, Gate: w.gate, Metrics: NewMetrics(),
		Hooks: &fakeHooks{w: w, process: w.process},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func snapshotClass(name, driver string) *snapshotv1.VolumeSnapshotClass {
	return &snapshotv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{preflight.AnnotationDefaultClass: "true"}},
		Driver:     driver, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
	}
}

func groupClass() *unstructured.Unstructured {
	class := snapshottest.GroupObject(groupV1, "VolumeGroupSnapshotClass", "group-gold")
	class.SetAnnotations(map[string]string{groupapi.AnnotationDefaultClass: "true"})
	class.Object["driver"] = driver
	return class
}

func boundClaim(name string) []client.Object {
	return []client.Object{
		builders.MakeClaim(name).Class("fast").BoundTo("pv-" + name).Obj(),
		builders.MakePV("pv-"+name).CSI(driver, "handle-"+name).ClaimedBy(name).Obj(),
	}
}

// take makes an ApplicationSnapshot of claims a and b, and changes it.
func (w *world) take(change func(*snapshotv1alpha1.ApplicationSnapshotSpec)) *snapshotv1alpha1.ApplicationSnapshot {
	w.t.Helper()
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "nightly", Generation: 1},
		Spec: snapshotv1alpha1.ApplicationSnapshotSpec{
			ClaimNames: []string{"a", "b"}, Mode: snapshotv1alpha1.ModeSequential,
			CutDeadline: metav1.Duration{Duration: 20 * time.Second}, ReadyDeadline: metav1.Duration{Duration: 60 * time.Second},
		},
	}
	if change != nil {
		change(&snapshot.Spec)
	}
	if err := w.api.Create(w.t.Context(), snapshot); err != nil {
		w.t.Fatal(err)
	}
	return snapshot
}

func withHooks(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
	spec.Hooks = &snapshotv1alpha1.Hooks{
		MaxFreeze: metav1.Duration{Duration: 12 * time.Second},
		Commands:  []snapshotv1alpha1.Hook{{Name: "db", Freeze: []string{"freeze"}, Thaw: []string{"thaw"}}},
	}
}

func mode(mode snapshotv1alpha1.Mode) func(*snapshotv1alpha1.ApplicationSnapshotSpec) {
	return func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.Mode = mode }
}

func both(changes ...func(*snapshotv1alpha1.ApplicationSnapshotSpec)) func(*snapshotv1alpha1.ApplicationSnapshotSpec) {
	return func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
		for _, change := range changes {
			change(spec)
		}
	}
}

var request = reconcile.Request{NamespacedName: types.NamespacedName{Namespace: builders.Namespace, Name: "nightly"}}

func (w *world) reconcile() (reconcile.Result, error) {
	return w.r.Reconcile(w.t.Context(), request)
}

// pass looks at the snapshot every second, and starts another process where one has crashed.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); w.clock.Pass(time.Second) {
		_, err := w.reconcile()
		switch {
		case w.process.Dead():
			w.restart()
		case err != nil && !apierrors.IsConflict(err) && w.process.Fail == nil:
			w.t.Fatalf("after %s: %v", w.clock.Since(start), err)
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get() *snapshotv1alpha1.ApplicationSnapshot {
	w.t.Helper()
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{}
	if err := w.api.Get(w.t.Context(), request.NamespacedName, snapshot); err != nil {
		w.t.Fatal(err)
	}
	return snapshot
}

// heard are the events until now, by their reasons.
func (w *world) heard() []string {
	for {
		select {
		case event := <-w.recorder.Events:
			w.events = append(w.events, event)
		default:
			reasons := make([]string, 0, len(w.events))
			for _, event := range w.events {
				reasons = append(reasons, strings.Fields(event)[1])
			}
			return reasons
		}
	}
}

func (w *world) made() []snapshotv1.VolumeSnapshot {
	w.t.Helper()
	var list snapshotv1.VolumeSnapshotList
	if err := w.api.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *world) creations() int {
	n := 0
	for _, write := range w.process.Writes {
		if strings.HasPrefix(write, "create Volume") {
			n++
		}
	}
	return n
}

func (w *world) wantPhase(want snapshotv1alpha1.Phase, reason string) *snapshotv1alpha1.ApplicationSnapshot {
	w.t.Helper()
	snapshot := w.get()
	ready := meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionReady)
	if ready == nil || snapshot.Status.Phase != want || ready.Reason != reason {
		w.t.Fatalf("phase is %q, condition %+v; want phase %s for %s", snapshot.Status.Phase, ready, want, reason)
	}
	return snapshot
}

func (w *world) wantEvents(want ...string) {
	w.t.Helper()
	if got := w.heard(); !slices.Equal(got, want) {
		w.t.Errorf("events are %q, want %q", w.events, want)
	}
}

// wantNothingLeft wants no snapshots, nothing frozen, no labels and no finalizer.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	if made := w.made(); len(made) > 0 {
		w.t.Errorf("%d VolumeSnapshots are left, as %s, want none", len(made), made[0].Name)
	}
	w.wantUntouched()
}

func (w *world) wantUntouched() {
	w.t.Helper()
	if w.pods.frozen {
		w.t.Error("the application is frozen still")
	}
	if finalizers := w.get().Finalizers; len(finalizers) > 0 {
		w.t.Errorf("finalizers %q are left", finalizers)
	}
	var claims corev1.PersistentVolumeClaimList
	if err := w.api.List(w.t.Context(), &claims); err != nil {
		w.t.Fatal(err)
	}
	for i := range claims.Items {
		if labels := claims.Items[i].Labels; len(labels) > 0 {
			w.t.Errorf("claim %s has labels %v, want none", claims.Items[i].Name, labels)
		}
	}
}

// fakeHooks are the hooks of one process.
type fakeHooks struct {
	w       *world
	process *snapshottest.Process
}

var _ Hooks = (*fakeHooks)(nil)

func (f *fakeHooks) Plan(_ context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (*snapshotv1alpha1.Freeze, error) {
	if snapshot.Spec.Hooks == nil {
		return nil, nil
	}
	if err := f.w.pods.planFails; err != nil {
		return nil, err
	}
	now := f.w.clock.Now()
	return &snapshotv1alpha1.Freeze{
		RunID: "run", State: snapshotv1alpha1.Freezing, StartTime: metav1.NewMicroTime(now),
		Deadline: metav1.NewMicroTime(now.Add(snapshot.Spec.Hooks.MaxFreeze.Duration)),
		Pods:     []snapshotv1alpha1.FrozenPod{{Hook: "db", Name: "db-0", UID: "db-0", Container: "db", State: snapshotv1alpha1.PodPlanned}},
	}, nil
}

func (f *fakeHooks) Freeze(ctx context.Context, j *hooks.Journal) error {
	if f.w.pods.refusedFirst {
		f.w.pods.refusedFirst = false
		return hooks.ErrBusy
	}
	j.Object.Status.Freeze.Pods[0].State = snapshotv1alpha1.PodAttempted
	if err := j.Save(ctx); err != nil {
		return err
	}
	f.w.pods.frozen = true
	f.w.pods.freezes++
	f.w.clock.Pass(time.Second)
	if err := f.w.pods.freezeFails; err != nil {
		return err
	}
	now := metav1.NewMicroTime(f.w.clock.Now())
	j.Object.Status.Freeze.State, j.Object.Status.Freeze.FrozenTime = snapshotv1alpha1.Frozen, &now
	return j.Save(ctx)
}

func (f *fakeHooks) Thaw(ctx context.Context, j *hooks.Journal) error {
	ctx = context.WithoutCancel(ctx)
	if f.process.Dead() {
		return snapshottest.ErrCrashed
	}
	if f.w.pods.thawing != nil {
		f.w.pods.thawing()
	}
	now := metav1.NewMicroTime(f.w.clock.Now())
	j.Object.Status.Freeze.State, j.Object.Status.Freeze.ThawTime = snapshotv1alpha1.Thawing, &now
	err := j.Save(ctx)
	if f.process.Dead() {
		return err
	}
	f.w.pods.thaws++
	f.w.clock.Pass(time.Second)
	freeze := j.Object.Status.Freeze
	if f.w.pods.thawFails {
		freeze.State, freeze.Pods[0].State, freeze.Pods[0].Error = snapshotv1alpha1.NotThawed, snapshotv1alpha1.PodNotThawed, "exit status 1"
		return errors.Join(err, j.Save(ctx), errors.New("exit status 1"))
	}
	f.w.pods.frozen, f.w.pods.thawedAt = false, f.w.clock.Now()
	freeze.State, freeze.Pods[0].State = snapshotv1alpha1.Thawed, snapshotv1alpha1.PodThawed
	return errors.Join(err, j.Save(ctx))
}

func (f *fakeHooks) HeldThrough(context.Context, *snapshotv1alpha1.ApplicationSnapshot) (bool, string) {
	if f.process.Dead() {
		return false, "dead"
	}
	return f.w.pods.notHeld == "", f.w.pods.notHeld
}
