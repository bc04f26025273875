// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

const (
	ours = "csi.example.com"
	// immediate and lazy are StorageClasses of ours, foreign is of another driver.
	immediate, lazy, foreign = "immediate", "lazy", "foreign"
)

var (
	errCrash = errors.New("crash")
	scheme   = newScheme()
	began    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	theKey   = types.NamespacedName{Namespace: "prod", Name: "back"}
)

func newScheme() *runtime.Scheme {
	known := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(known))
	utilruntime.Must(storagev1.AddToScheme(known))
	utilruntime.Must(snapshotv1.AddToScheme(known))
	utilruntime.Must(snapshotv1alpha1.AddToScheme(known))
	return known
}

// places are limits that let a restore in unless full.
type places struct {
	full bool
	held map[types.NamespacedName]map[string]int
}

func (p *places) Enter(key types.NamespacedName, load map[string]int) bool {
	if p.full {
		return false
	}
	p.held[key] = load
	return true
}

func (p *places) Leave(key types.NamespacedName) { delete(p.held, key) }

// world is an API server with a snapshot controller, a provisioner and a storage system, all of them tiny.
type world struct {
	t *testing.T
	// raw is without what watches the reconciler's writes.
	raw, client client.WithWatch
	clock       *testingclock.FakeClock
	recorder    *events.FakeRecorder
	limits      *places
	reconciler  *Reconciler
	key         types.NamespacedName
	uids        int
	// log has the writes of the reconciler, and crashAt is the one at which it dies: before it, or right after it.
	log     []string
	crashAt int
	lands   bool
	dead    bool
	// quota is how many claims the namespace may have, or 0 for any.
	quota int
	// idle is a storage system that fills nothing.
	idle bool
	// consumers have a pod with a node.
	consumers map[string]bool
	// filled are the handles that claims were filled from, and lost those whose snapshot was deleted.
	filled map[string]string
	lost   map[string]bool
	// changes counts writes that were done, whosever they are.
	changes int
	// before is called before every write of the reconciler.
	before func(what string)
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		t: t, clock: testingclock.NewFakeClock(began), recorder: events.NewFakeRecorder(1000),
		limits: &places{held: map[types.NamespacedName]map[string]int{}}, key: theKey,
		consumers: map[string]bool{}, filled: map[string]string{}, lost: map[string]bool{},
	}
	class := func(name, provisioner string, mode storagev1.VolumeBindingMode) client.Object {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode}
	}
	objects = append(objects, class(immediate, ours, storagev1.VolumeBindingImmediate),
		class(lazy, ours, storagev1.VolumeBindingWaitForFirstConsumer), class(foreign, "other", storagev1.VolumeBindingImmediate))
	w.raw = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&snapshotv1alpha1.SnapshotRestore{}, &snapshotv1alpha1.ApplicationSnapshot{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
				w.uids++
				object.SetUID(types.UID(fmt.Sprintf("made-%d", w.uids)))
				return c.Create(ctx, object, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
				w.destroy(object)
				return c.Delete(ctx, object, opts...)
			},
		}).Build()
	w.client = interceptor.NewClient(w.raw, w.watched())
	w.restart()
	return w
}

// restart makes a reconciler that remembers nothing.
func (w *world) restart() {
	w.t.Helper()
	reconciler, err := New(Options{
		Client: w.client, Memory: w.client, Recorder: w.recorder, Clock: w.clock, Limits: w.limits, Metrics: restore.NewMetrics(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reconciler, w.dead = reconciler, false
	clear(w.limits.held)
}

// watched has every write of the reconciler be logged, refused where it dies, and checked for preconditions.
func (w *world) watched() interceptor.Funcs {
	return interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*unstructured.UnstructuredList); ok {
				return &meta.NoKindMatchError{}
			}
			return c.List(ctx, list, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return w.write("create", object, func() error {
				if _, ok := object.(*corev1.PersistentVolumeClaim); ok && w.quota > 0 && len(w.claims()) >= w.quota {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, object.GetName(), errors.New("exceeded quota: small"))
				}
				return c.Create(ctx, object, opts...)
			})
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			return w.write("update", object, func() error { return c.Update(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return w.write("patch", object, func() error { return c.Patch(ctx, object, patch, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.write(sub, object, func() error { return c.SubResource(sub).Update(ctx, object, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return w.write("delete", object, func() error {
				asked := (&client.DeleteOptions{}).ApplyOptions(opts).Preconditions
				if asked == nil || asked.UID == nil || asked.ResourceVersion == nil {
					w.t.Errorf("%T %s is deleted without preconditions", object, object.GetName())
				}
				return c.Delete(ctx, object, opts...)
			})
		},
	}
}

func (w *world) write(verb string, object client.Object, do func() error) error {
	if w.dead {
		return errCrash
	}
	what := fmt.Sprintf("%s %s %s", verb, strings.TrimPrefix(fmt.Sprintf("%T", object), "*"), object.GetName())
	if w.before != nil {
		w.before(what)
	}
	w.log = append(w.log, what)
	dies := w.crashAt == len(w.log)
	if dies && !w.lands {
		w.dead = true
		return errCrash
	}
	err := do()
	if err == nil {
		w.changes++
	}
	if dies {
		w.dead = true
		return errCrash
	}
	return err
}

// destroy is what the driver does when a snapshot or its content is deleted whose policy is Delete.
func (w *world) destroy(object client.Object) {
	content, ok := object.(*snapshotv1.VolumeSnapshotContent)
	if snapshot, isSnapshot := object.(*snapshotv1.VolumeSnapshot); isSnapshot && snapshot.Status != nil {
		content, ok = &snapshotv1.VolumeSnapshotContent{}, true
		_ = w.raw.Get(w.t.Context(), client.ObjectKey{Name: ptr.Deref(snapshot.Status.BoundVolumeSnapshotContentName, "")}, content)
	}
	if ok && content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete {
		w.lost[restore.Handle(content)] = true
	}
}

// reconcile looks once, and then lets the controllers act.
func (w *world) reconcile() (reconcile.Result, error) {
	result, err := w.reconciler.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: w.key})
	w.controllers()
	return result, err
}

// play looks until nothing changes any more, over crashes.
func (w *world) play() {
	w.t.Helper()
	for range 40 {
		before := w.changes
		_, err := w.reconcile()
		switch {
		case w.dead:
			w.restart()
			continue
		case err != nil:
			w.t.Fatalf("%v; writes %q", err, w.log)
		case w.changes == before:
			return
		}
		w.clock.Step(5 * time.Second)
	}
	w.t.Fatalf("not at rest after 40 looks; writes %q", w.log)
}

// controllers are the snapshot controller and the provisioner.
func (w *world) controllers() {
	var snapshots snapshotv1.VolumeSnapshotList
	w.must(w.raw.List(w.t.Context(), &snapshots))
	for i := range snapshots.Items {
		w.bind(&snapshots.Items[i])
	}
	var claims corev1.PersistentVolumeClaimList
	w.must(w.raw.List(w.t.Context(), &claims))
	for i := range claims.Items {
		w.provision(&claims.Items[i])
	}
}

// bind binds a VolumeSnapshot to the content that it names.
func (w *world) bind(snapshot *snapshotv1.VolumeSnapshot) {
	name := snapshot.Spec.Source.VolumeSnapshotContentName
	if name == nil || snapshot.Status != nil {
		return
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	if w.raw.Get(w.t.Context(), client.ObjectKey{Name: *name}, content) != nil {
		return
	}
	ref := &content.Spec.VolumeSnapshotRef
	if ref.Namespace != snapshot.Namespace || ref.Name != snapshot.Name || (ref.UID != "" && ref.UID != snapshot.UID) {
		return
	}
	ref.UID = snapshot.UID
	content.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: content.Spec.Source.SnapshotHandle, ReadyToUse: ptr.To(true)}
	snapshot.Status = &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: name, ReadyToUse: ptr.To(true)}
	w.must(w.raw.Update(w.t.Context(), content))
	w.must(w.raw.Update(w.t.Context(), snapshot))
	w.changes++
}

// provision fills a claim, once its pod has a node where its class waits for that.
func (w *world) provision(claim *corev1.PersistentVolumeClaim) {
	if w.idle || claim.Spec.DataSource == nil || claim.Status.Phase == corev1.ClaimBound {
		return
	}
	waits := *claim.Spec.StorageClassName == lazy
	if waits && !w.consumers[claim.Name] {
		return
	}
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	if w.raw.Get(w.t.Context(), client.ObjectKey{Namespace: claim.Namespace, Name: claim.Spec.DataSource.Name}, snapshot) != nil || snapshot.Status == nil {
		return
	}
	w.must(w.raw.Get(w.t.Context(), client.ObjectKey{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content))
	if content.Spec.VolumeSnapshotRef.UID != snapshot.UID || w.lost[restore.Handle(content)] {
		return
	}
	if waits {
		claim.Annotations[selectedNode] = "node-1"
	}
	claim.Spec.VolumeName = "pv-" + claim.Name
	w.must(w.raw.Update(w.t.Context(), claim))
	claim.Status.Phase = corev1.ClaimBound
	w.must(w.raw.Status().Update(w.t.Context(), claim))
	w.changes++
	w.filled[claim.Name] = restore.Handle(content)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// claims are those of the restore's namespace, by name.
func (w *world) claims() map[string]*corev1.PersistentVolumeClaim {
	w.t.Helper()
	var list corev1.PersistentVolumeClaimList
	w.must(w.raw.List(w.t.Context(), &list, client.InNamespace(w.key.Namespace)))
	claims := map[string]*corev1.PersistentVolumeClaim{}
	for i := range list.Items {
		claims[list.Items[i].Name] = &list.Items[i]
	}
	return claims
}

// restore is the restore as it is in the API, or nil.
func (w *world) restore() *snapshotv1alpha1.SnapshotRestore {
	w.t.Helper()
	object := &snapshotv1alpha1.SnapshotRestore{}
	err := w.raw.Get(w.t.Context(), w.key, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return object
}

// copies are the names of the contents of copies.
func (w *world) copies() []string {
	w.t.Helper()
	var contents snapshotv1.VolumeSnapshotContentList
	w.must(w.raw.List(w.t.Context(), &contents, client.HasLabels{snapshotv1alpha1.LabelRestore}))
	var snapshots snapshotv1.VolumeSnapshotList
	w.must(w.raw.List(w.t.Context(), &snapshots, client.HasLabels{snapshotv1alpha1.LabelRestore}))
	var names []string
	for i := range contents.Items {
		if policy := contents.Items[i].Spec.DeletionPolicy; policy != snapshotv1.VolumeSnapshotContentRetain {
			w.t.Errorf("a copy has the deletionPolicy %s", policy)
		}
		names = append(names, "content "+contents.Items[i].Name)
	}
	for i := range snapshots.Items {
		names = append(names, "snapshot "+snapshots.Items[i].Name)
	}
	return names
}

// taken are an ApplicationSnapshot of some claims in prod, and what the storage system has of it.
func taken(claims ...string) []client.Object {
	app := &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "db", UID: "app-uid"},
		Status:     snapshotv1alpha1.ApplicationSnapshotStatus{Phase: snapshotv1alpha1.PhaseReady, Consistency: snapshotv1alpha1.ConsistencyCrash},
	}
	objects := []client.Object{app}
	for _, claim := range claims {
		size := resource.MustParse("1Gi")
		uid := types.UID("csi-" + claim)
		app.Status.Members = append(app.Status.Members, snapshotv1alpha1.SnapshotMember{
			ClaimName: claim, ClaimUID: types.UID("claim-" + claim), Driver: ours, State: snapshotv1alpha1.MemberReady,
			VolumeSnapshotName: "db-" + claim, VolumeSnapshotUID: uid, StorageClassName: immediate, Capacity: &size, RestoreSize: &size,
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeMode: corev1.PersistentVolumeFilesystem,
			Labels: map[string]string{"app": "db"},
		})
		objects = append(objects,
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "db-" + claim, UID: uid},
				Status:     &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: ptr.To("content-" + claim), ReadyToUse: ptr.To(true)},
			},
			&snapshotv1.VolumeSnapshotContent{
				ObjectMeta: metav1.ObjectMeta{Name: "content-" + claim, UID: types.UID("content-" + claim)},
				Spec: snapshotv1.VolumeSnapshotContentSpec{
					VolumeSnapshotRef: corev1.ObjectReference{Namespace: "prod", Name: "db-" + claim, UID: uid},
					Driver:            ours, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
				},
				Status: &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: ptr.To("handle-" + claim), ReadyToUse: ptr.To(true)},
			})
	}
	return objects
}

// asked is a restore of db with all names ending in -copy.
func asked() *snapshotv1alpha1.SnapshotRestore {
	return &snapshotv1alpha1.SnapshotRestore{
		ObjectMeta: metav1.ObjectMeta{Namespace: theKey.Namespace, Name: theKey.Name, UID: "restore-uid", CreationTimestamp: metav1.NewTime(began)},
		Spec: snapshotv1alpha1.SnapshotRestoreSpec{
			Source:    snapshotv1alpha1.SnapshotSource{Name: "db"},
			NewClaims: &snapshotv1alpha1.NewClaims{Suffix: "-copy"},
			Deadline:  metav1.Duration{Duration: time.Hour},
		},
	}
}
