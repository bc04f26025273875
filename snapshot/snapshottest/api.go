// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshottest

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/groupapi"
)

// Scheme has the kinds that snapshots are about.
func Scheme() *runtime.Scheme { return scheme }

var scheme = newScheme()

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	// The fake client goes through all kinds at every write: they are few.
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, storagev1.AddToScheme, snapshotv1alpha1.AddToScheme, snapshotv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
}

// NewAPI returns an API server. groupVersion is that of VolumeGroupSnapshots; they are not served where it is empty.
func NewAPI(clock *Clock, groupVersion string, objects ...client.Object) client.WithWatch {
	mapper := meta.NewDefaultRESTMapper(nil)
	for gvk := range scheme.AllKnownTypes() {
		mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	if groupVersion != "" {
		gv := schema.GroupVersion{Group: groupapi.Group, Version: groupVersion}
		mapper.Add(gv.WithKind("VolumeGroupSnapshot"), meta.RESTScopeNamespace)
		mapper.Add(gv.WithKind("VolumeGroupSnapshotContent"), meta.RESTScopeRoot)
		mapper.Add(gv.WithKind("VolumeGroupSnapshotClass"), meta.RESTScopeRoot)
	}
	under := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithObjects(objects...).WithStatusSubresource(
		&snapshotv1alpha1.ApplicationSnapshot{}, &snapshotv1alpha1.SnapshotRestore{}, &snapshotv1alpha1.SnapshotSchedule{},
		&snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{},
	).Build()
	api := &api{clock: clock}
	return interceptor.NewClient(under, interceptor.Funcs{Create: api.create, Delete: api.remove})
}

// api does what the fake client does not.
type api struct {
	clock   *Clock
	created int
}

func (a *api) create(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
	if object.GetUID() == "" {
		a.created++
		object.SetUID(types.UID(fmt.Sprintf("uid-%d-of-%s", a.created, object.GetName())))
	}
	object.SetCreationTimestamp(metav1.NewTime(a.clock.Now().Truncate(time.Second)))
	return c.Create(ctx, object, options...)
}

func (a *api) remove(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
	asked := (&client.DeleteOptions{}).ApplyOptions(options)
	if asked.Preconditions == nil || asked.Preconditions.UID == nil {
		return c.Delete(ctx, object, options...)
	}
	found := object.DeepCopyObject().(client.Object)
	if err := c.Get(ctx, client.ObjectKeyFromObject(object), found); err != nil {
		return err
	}
	if found.GetUID() != *asked.Preconditions.UID {
		return apierrors.NewConflict(corev1.Resource("objects"), object.GetName(), fmt.Errorf("the UID is %s", found.GetUID()))
	}
	return c.Delete(ctx, object, options...)
}
