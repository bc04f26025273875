// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"slices"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const ours = "csi.example.com"

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(storagev1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1alpha1.AddToScheme(scheme))
	return scheme
}

// newClient is an API server that serves ReferenceGrants only where there are some.
func newClient(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	served := slices.ContainsFunc(objects, func(object client.Object) bool {
		_, ok := object.(*unstructured.Unstructured)
		return ok
	})
	return fake.NewClientBuilder().WithScheme(newScheme()).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*unstructured.UnstructuredList); ok && !served {
				return &meta.NoKindMatchError{GroupKind: referenceGrants.GroupKind()}
			}
			return c.List(ctx, list, opts...)
		},
	}).Build()
}

// objects are the parts of one member's snapshot, to be spoiled by a test.
type objects struct {
	app     *snapshotv1alpha1.ApplicationSnapshot
	csi     *snapshotv1.VolumeSnapshot
	content *snapshotv1.VolumeSnapshotContent
	class   *storagev1.StorageClass
}

func healthy() *objects {
	m := member("data", "2Gi", "1Gi")
	m.Driver, m.VolumeSnapshotUID, m.StorageClassName = ours, "csi-uid", "fast"
	m.AccessModes, m.VolumeMode = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, corev1.PersistentVolumeFilesystem
	m.Labels = map[string]string{"app": "db", "tier": "back", snapshotv1alpha1.LabelRestore: "an earlier one"}
	app := snapshotOf(m)
	app.Namespace, app.UID, app.Status.Phase = "prod", "app-uid", snapshotv1alpha1.PhaseReady
	return &objects{
		app: app,
		csi: &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "snap-data", UID: "csi-uid"},
			Status: &snapshotv1.VolumeSnapshotStatus{
				BoundVolumeSnapshotContentName: ptr.To("content"), ReadyToUse: ptr.To(true), RestoreSize: ptr.To(resource.MustParse("1Gi")),
			},
		},
		content: &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "content"},
			Spec: snapshotv1.VolumeSnapshotContentSpec{
				VolumeSnapshotRef: corev1.ObjectReference{Namespace: "prod", Name: "snap-data", UID: "csi-uid"},
				Driver:            ours, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete, SourceVolumeMode: ptr.To(corev1.PersistentVolumeFilesystem),
			},
			Status: &snapshotv1.VolumeSnapshotContentStatus{
				SnapshotHandle: ptr.To("handle"), ReadyToUse: ptr.To(true), RestoreSize: ptr.To(int64(1 << 30)),
			},
		},
		class: &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: ours},
	}
}

func (o *objects) member() *snapshotv1alpha1.SnapshotMember { return &o.app.Status.Members[0] }

func (o *objects) client(t *testing.T, more ...client.Object) client.WithWatch {
	t.Helper()
	return newClient(t, append(more, o.app, o.csi, o.content, o.class)...)
}

// deleted has an object be deleted, and held by a finalizer.
func deleted(object client.Object) {
	object.SetDeletionTimestamp(ptr.To(metav1.Now()))
	object.SetFinalizers([]string{"test.example.com/hold"})
}

// wantProblem fails unless an error is a Problem like that. An empty reason wants no error.
func wantProblem(t *testing.T, err error, reason string, wantFinal bool) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Errorf("error is %v, want none", err)
		}
		return
	}
	problem, ok := AsProblem(err)
	if !ok {
		t.Fatalf("error is %v, want a Problem with the reason %s", err, reason)
	}
	if problem.Reason != reason || problem.Final != wantFinal {
		t.Errorf("problem is %s, final %t, want %s, final %t: %s", problem.Reason, problem.Final, reason, wantFinal, problem.Message)
	}
}
