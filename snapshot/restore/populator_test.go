// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func requestFor(o *objects) ClaimRequest {
	return ClaimRequest{
		Namespace: "prod", Name: "copy", Labels: map[string]string{"tier": "test", snapshotv1alpha1.LabelRestore: "forged"},
		Annotations: map[string]string{"note": "x"}, Member: o.member(), Size: resource.MustParse("2Gi"),
		VolumeSnapshotName: "snap-data", VolumeSnapshotUID: "csi-uid", RestoreUID: "restore-uid",
	}
}

func TestTheClaimThatIsMade(t *testing.T) {
	o := healthy()
	populator := Populator{Client: o.client(t)}
	claim, err := populator.Ensure(t.Context(), requestFor(o))
	if err != nil {
		t.Fatal(err)
	}
	wantLabels := map[string]string{"app": "db", "tier": "test", snapshotv1alpha1.LabelRestore: "restore-uid"}
	if diff := cmp.Diff(wantLabels, claim.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	want := corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}},
		StorageClassName: ptr.To("fast"), VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem),
		DataSource: &corev1.TypedLocalObjectReference{APIGroup: ptr.To("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "snap-data"},
	}
	if diff := cmp.Diff(want, claim.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if len(claim.OwnerReferences) > 0 {
		t.Errorf("owners are %v, want none: the claim outlives what it is made from", claim.OwnerReferences)
	}
	again, err := populator.Ensure(t.Context(), requestFor(o))
	if err != nil || again.ResourceVersion != claim.ResourceVersion {
		t.Errorf("a second time it is %v, %v, want the same claim untouched", again, err)
	}
}

func TestWhatTheProvisionerWouldRefuseIsNotMade(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(*objects, *ClaimRequest)
		reason string
		final  bool
	}{
		"as large as the snapshot needs": {spoil: func(_ *objects, r *ClaimRequest) { r.Size = resource.MustParse("1Gi") }},
		"larger, by a class that allows no expansion": {spoil: func(o *objects, r *ClaimRequest) {
			r.Size, o.class.AllowVolumeExpansion = resource.MustParse("9Gi"), ptr.To(false)
		}},
		"smaller": {spoil: func(_ *objects, r *ClaimRequest) { r.Size = resource.MustParse("1023Mi") }, reason: ReasonSizeTooSmall, final: true},
		"smaller than the content says meanwhile": {
			spoil: func(o *objects, _ *ClaimRequest) { o.content.Status.RestoreSize = ptr.To(int64(3 << 30)) }, reason: ReasonSizeTooSmall, final: true,
		},
		"no StorageClass":           {spoil: func(o *objects, _ *ClaimRequest) { o.class.Name = "slow" }, reason: ReasonStorageClass, final: true},
		"another driver's class":    {spoil: func(o *objects, _ *ClaimRequest) { o.class.Provisioner = "other" }, reason: ReasonStorageClass, final: true},
		"a claim that had no class": {spoil: func(o *objects, _ *ClaimRequest) { o.member().StorageClassName = "" }, reason: ReasonStorageClass, final: true},
		"another volume mode": {
			spoil: func(o *objects, _ *ClaimRequest) { o.member().VolumeMode = corev1.PersistentVolumeBlock }, reason: ReasonVolumeMode, final: true,
		},
		"content of another one": {
			spoil: func(o *objects, _ *ClaimRequest) { o.content.Spec.VolumeSnapshotRef.UID = "former" }, reason: ReasonSnapshotMisbound, final: true,
		},
		"another VolumeSnapshot": {spoil: func(o *objects, _ *ClaimRequest) { o.csi.UID = "later" }, reason: ReasonSnapshotGone, final: true},
		"one that is deleted":    {spoil: func(o *objects, _ *ClaimRequest) { deleted(o.csi) }, reason: ReasonSnapshotGone, final: true},
		"one that is not ready":  {spoil: func(o *objects, _ *ClaimRequest) { o.csi.Status.ReadyToUse = nil }, reason: ReasonSnapshotNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			request := requestFor(o)
			tc.spoil(o, &request)
			api := o.client(t)
			populator := Populator{Client: api}
			_, err := populator.Ensure(t.Context(), request)
			wantProblem(t, err, tc.reason, tc.final)
			made := api.Get(t.Context(), request.Key(), &corev1.PersistentVolumeClaim{}) == nil
			if wantMade := tc.reason == ""; made != wantMade {
				t.Errorf("claim was made: %t, want %t", made, wantMade)
			}
		})
	}
}

func TestAForeignClaimIsLeftAlone(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"without a label":                         nil,
		"of another restore":                      {snapshotv1alpha1.LabelRestore: "other-uid"},
		"with our label, but from another source": {snapshotv1alpha1.LabelRestore: "restore-uid"},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			api := o.client(t, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "copy", Labels: labels}})
			before := &corev1.PersistentVolumeClaim{}
			request := requestFor(o)
			_ = api.Get(t.Context(), request.Key(), before)
			populator := Populator{Client: api}
			_, err := populator.Ensure(t.Context(), request)
			wantProblem(t, err, ReasonClaimExists, true)
			wantProblem(t, populator.Check(t.Context(), request, o.content), ReasonClaimExists, true)
			after := &corev1.PersistentVolumeClaim{}
			if err := api.Get(t.Context(), request.Key(), after); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the claim was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestAClaimThatAppearsMeanwhileIsLeftAlone(t *testing.T) {
	o := healthy()
	request := requestFor(o)
	api := interceptor.NewClient(o.client(t), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			theirs := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "copy"}}
			return errors.Join(c.Create(ctx, theirs), c.Create(ctx, object, opts...))
		},
	})
	populator := Populator{Client: api}
	_, err := populator.Ensure(t.Context(), request)
	wantProblem(t, err, ReasonClaimExists, true)
}

func TestWhatTheAPIServerRefuses(t *testing.T) {
	claims := schema.GroupResource{Resource: "persistentvolumeclaims"}
	terminating := apierrors.NewForbidden(claims, "copy", errors.New("because it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		err    error
		reason string
		final  bool
	}{
		"a quota":                      {err: apierrors.NewForbidden(claims, "copy", errors.New("exceeded quota: small, requested: 1")), reason: ReasonQuotaExceeded},
		"a LimitRange":                 {err: apierrors.NewForbidden(claims, "copy", errors.New("maximum storage usage is 1Gi")), reason: ReasonClaimRefused},
		"a namespace that goes":        {err: terminating, reason: ReasonNamespaceTerminates, final: true},
		"a claim that is none":         {err: apierrors.NewInvalid(schema.GroupKind{Kind: "PersistentVolumeClaim"}, "copy", nil), reason: ReasonClaimRefused, final: true},
		"nothing, but it was not well": {err: apierrors.NewInternalError(errors.New("etcd"))},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			populator := Populator{Client: interceptor.NewClient(o.client(t), interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return tc.err },
			})}
			_, err := populator.Ensure(t.Context(), requestFor(o))
			if tc.reason == "" {
				if _, ok := AsProblem(err); ok || err == nil {
					t.Errorf("error is %v, want one that is no Problem", err)
				}
				return
			}
			wantProblem(t, err, tc.reason, tc.final)
		})
	}
}
