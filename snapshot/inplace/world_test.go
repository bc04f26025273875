// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	clientgotesting "k8s.io/client-go/testing"
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
	namespace  = "shop"
	driver     = "csi.example.com"
	className  = "fast"
	protection = "kubernetes.io/pvc-protection"
	// content is an annotation with what a volume holds.
	content = "test/content"
	present = "present"
	past    = "past"
)

var (
	testEpoch  = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	errCrashed = errors.New("the process is gone")
)

// world is an API server with the controllers that Kubernetes has, as far as a restore meets them. They act in settle, not by
// themselves.
type world struct {
	t      *testing.T
	scheme *runtime.Scheme
	// api is for the controllers and the test.
	api   client.Client
	clock *testingclock.FakeClock
	uids  int

	// writes counts those of the reconciler. After the last one that is allowed every call of it fails.
	writes, allowed int
	// refuse, where set, fails a write of the reconciler that is not made then.
	refuse func(verb string, object client.Object) error

	// stuck keeps pods from ending, attachments from going, and snapshots from being ready.
	stuckPods, stuckAttachments, stuckSnapshots bool
	// failSafety has the safety snapshot fail.
	failSafety bool
	// full lets no restore make volumes. entered are those that may, with their operations.
	full    bool
	entered map[types.NamespacedName]map[string]int
	// noProvisioner makes no volumes.
	noProvisioner bool
	// noGate has pods scheduled that RestoreGate would hold.
	noGate bool
	// destroyed has what was in the volumes that were deleted, by name.
	destroyed  map[string]string
	reconciler *Reconciler
	recorder   *events.FakeRecorder
}

func newWorld(t *testing.T, mode storagev1.VolumeBindingMode) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, storagev1.AddToScheme, autoscalingv2.AddToScheme, snapshotv1alpha1.AddToScheme, snapshotv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{
		t: t, scheme: scheme, clock: testingclock.NewFakeClock(testEpoch), allowed: -1, destroyed: map[string]string{}, entered: map[types.NamespacedName]map[string]int{},
		recorder: events.NewFakeRecorder(10000),
	}
	// Without managed fields, which take most of the time.
	tracker := clientgotesting.NewObjectTracker(scheme, serializer.NewCodecFactory(scheme).UniversalDecoder())
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjectTracker(tracker).WithStatusSubresource(&snapshotv1alpha1.SnapshotRestore{}, &snapshotv1alpha1.ApplicationSnapshot{})
	w.api = interceptor.NewClient(builder.Build(), interceptor.Funcs{Create: w.admit, Delete: w.checkUID})
	w.restart()
	w.furnish(mode)
	return w
}

// admit does what the API server and its admission plugins do with an object that is made.
func (w *world) admit(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
	w.uids++
	object.SetUID(types.UID("uid-" + strconv.Itoa(w.uids)))
	object.SetCreationTimestamp(metav1.NewTime(w.clock.Now()))
	if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
		claim.Finalizers = []string{protection}
		claim.Status.Phase = corev1.ClaimPending
	}
	return c.Create(ctx, object, options...)
}

// checkUID is what the fake client leaves out of preconditions.
func (w *world) checkUID(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
	asked := (&client.DeleteOptions{}).ApplyOptions(options)
	if asked.Preconditions != nil && asked.Preconditions.UID != nil {
		live := object.DeepCopyObject().(client.Object)
		if err := c.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
			return err
		}
		if live.GetUID() != *asked.Preconditions.UID {
			return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, object.GetName(), errors.New("another UID"))
		}
	}
	return c.Delete(ctx, object, options...)
}

// Enter implements Limits.
func (w *world) Enter(key types.NamespacedName, load map[string]int) bool {
	w.entered[key] = load
	return !w.full
}

// Leave implements Limits.
func (w *world) Leave(key types.NamespacedName) { delete(w.entered, key) }

// restart has another process go on, from what the API server has.
func (w *world) restart() {
	w.t.Helper()
	c := w.client()
	made, err := New(Options{
		Client: c, Memory: c, Recorder: w.recorder, Clock: w.clock, Limits: w, Metrics: restore.NewMetrics(), Phases: NewPhases(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reconciler = made
}

// client is the reconciler's.
func (w *world) client() client.Client {
	alive := func() error {
		if w.allowed >= 0 && w.writes >= w.allowed {
			return errCrashed
		}
		return nil
	}
	write := func(verb string, object client.Object, do func() error) error {
		if err := alive(); err != nil {
			return err
		}
		if w.refuse != nil {
			if err := w.refuse(verb, object); err != nil {
				return err
			}
		}
		w.writes++
		return do()
	}
	return interceptor.NewClient(w.api.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			if err := alive(); err != nil {
				return err
			}
			return c.Get(ctx, key, into, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return write("create", object, func() error { return c.Create(ctx, object, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			asked := (&client.DeleteOptions{}).ApplyOptions(options)
			if asked.Preconditions == nil || asked.Preconditions.UID == nil || asked.Preconditions.ResourceVersion == nil {
				w.t.Errorf("%s is deleted without preconditions", object.GetName())
			}
			return write("delete", object, func() error { return c.Delete(ctx, object, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return write("patch", object, func() error { return c.Patch(ctx, object, patch, options...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
			return write(name, object, func() error { return c.SubResource(name).Update(ctx, object, options...) })
		},
	})
}

// furnish makes the shop: a StatefulSet of two with their claims, and a snapshot of these, taken when they held the past.
func (w *world) furnish(mode storagev1.VolumeBindingMode) {
	w.t.Helper()
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{corev1.LabelHostname: "n1"}}})
	w.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: className}, Provisioner: driver, VolumeBindingMode: &mode})
	w.create(&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas:             ptr.To[int32](2),
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"app": "db"}}}},
		},
	})
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "friday"},
		Spec:       snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: []string{"data-db-0", "data-db-1"}, Mode: snapshotv1alpha1.ModeSequential},
	}
	w.create(snapshot)
	for _, name := range []string{"data-db-0", "data-db-1"} {
		snapshot.Status.Members = append(snapshot.Status.Members, w.cutOf(name))
	}
	snapshot.Status.Phase, snapshot.Status.Consistency = snapshotv1alpha1.PhaseReady, snapshotv1alpha1.ConsistencyCrash
	w.must(w.api.Status().Update(w.t.Context(), snapshot))
	w.settle()
}

// cutOf makes a bound claim, and a snapshot of it.
func (w *world) cutOf(name string) snapshotv1alpha1.SnapshotMember {
	claim := w.claimFor(name, map[string]string{"app": "db", "pod": name})
	claim.Annotations = map[string]string{"team": "blue"}
	w.create(claim)
	volume := w.volumeFor(claim, "old-"+name, present)
	w.create(volume)
	claim.Spec.VolumeName = volume.Name
	w.must(w.api.Update(w.t.Context(), claim))

	contentName := "content-" + name
	cut := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "friday-" + name},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &name}},
		Status:     &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: &contentName, ReadyToUse: ptr.To(true)},
	}
	w.create(cut)
	w.create(&snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: contentName},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver: driver, VolumeSnapshotRef: corev1.ObjectReference{Namespace: namespace, Name: cut.Name, UID: cut.UID},
		},
		Status: &snapshotv1.VolumeSnapshotContentStatus{ReadyToUse: ptr.To(true), SnapshotHandle: ptr.To("handle-" + name)},
	})
	return snapshotv1alpha1.SnapshotMember{
		ClaimName: name, ClaimUID: claim.UID, Driver: driver, VolumeSnapshotName: cut.Name, VolumeSnapshotUID: cut.UID,
		State: snapshotv1alpha1.MemberReady, StorageClassName: className, Labels: claim.Labels, AccessModes: claim.Spec.AccessModes,
		Capacity: ptr.To(resource.MustParse("1Gi")), RestoreSize: ptr.To(resource.MustParse("1Gi")),
	}
}

func (w *world) claimFor(name string, labels map[string]string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: ptr.To(className),
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

func (w *world) volumeFor(claim *corev1.PersistentVolumeClaim, name, what string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{content: what}},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete, StorageClassName: className,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}},
			ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
		},
	}
}

// ask makes the SnapshotRestore "undo".
func (w *world) ask(change ...func(*snapshotv1alpha1.SnapshotRestore)) {
	w.t.Helper()
	asked := &snapshotv1alpha1.SnapshotRestore{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "undo"},
		Spec: snapshotv1alpha1.SnapshotRestoreSpec{
			Source: snapshotv1alpha1.SnapshotSource{Name: "friday"}, Deadline: metav1.Duration{Duration: 24 * time.Hour},
			InPlace: &snapshotv1alpha1.InPlace{SafetySnapshot: snapshotv1alpha1.SafetySnapshotRequired, RollbackWindow: metav1.Duration{Duration: time.Hour}},
		},
	}
	for _, f := range change {
		f(asked)
	}
	w.create(asked)
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	w.must(w.api.Create(w.t.Context(), object))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// restore is the SnapshotRestore as it is, or nil.
func (w *world) restore() *snapshotv1alpha1.SnapshotRestore { return w.restoreNamed("undo") }

func (w *world) restoreNamed(name string) *snapshotv1alpha1.SnapshotRestore {
	w.t.Helper()
	found := &snapshotv1alpha1.SnapshotRestore{}
	err := w.api.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return found
}

// change changes the spec of the SnapshotRestore.
func (w *world) change(f func(*snapshotv1alpha1.SnapshotRestore)) {
	w.t.Helper()
	found := w.restore()
	f(found)
	w.must(w.api.Update(w.t.Context(), found))
}

// look reconciles once.
func (w *world) look(name string) (reconcile.Result, error) {
	return w.reconciler.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
}

// until reconciles and has the controllers act until done, and fails after so many rounds. A process that crashed is replaced.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for range 60 {
		if done() {
			return
		}
		_, err := w.look("undo")
		switch {
		case errors.Is(err, errCrashed):
			w.allowed = -1
			w.restart()
		case err != nil && !apierrors.IsConflict(err):
			w.t.Logf("reconciling: %v", err)
		}
		w.settle()
	}
	status := "gone"
	if found := w.restore(); found != nil {
		status = fmt.Sprintf("%s: %s %v", found.Status.Phase, found.Status.Message, found.Status.Conditions)
	}
	w.t.Fatalf("waited in vain: %s; the restore is %s", what, status)
}

func (w *world) phase(phase snapshotv1alpha1.RestorePhase) func() bool {
	return func() bool { found := w.restore(); return found != nil && found.Status.Phase == phase }
}
