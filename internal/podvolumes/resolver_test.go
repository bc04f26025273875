// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podvolumes

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// summary is what a test compares of a Volume.
type summary struct {
	Name, ClaimName string
	Status          Status
	PV, Class       string
	ID              drivers.VolumeID
	Deleting        bool
}

func podWith(volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "db-0", UID: types.UID("db-0")},
		Spec:       corev1.PodSpec{Volumes: volumes},
	}
}

func claimVolume(claim string) corev1.Volume {
	return corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}

func ephemeralVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}
}

var (
	deletedAt = metav1.NewTime(time.Unix(1000, 0))
	csi       = drivers.VolumeID{Provisioner: "csi.example.com", Handle: "h1"}
)

var resolveTests = map[string]struct {
	pod     *corev1.Pod
	objects []runtime.Object
	want    []summary
}{
	"no volumes": {pod: podWith()},
	"volumes without claims are left out": {
		pod: podWith(corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			corev1.Volume{Name: "inline", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "csi.example.com"}}}),
	},
	"a bound claim, known by its volume handle and not by the PersistentVolume's name": {
		pod: podWith(claimVolume("data")),
		objects: []runtime.Object{
			builders.MakeClaim("data").Class("fast").BoundTo("pv1").Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("data").Obj(),
			builders.MakeClass("fast", storagev1.VolumeBindingWaitForFirstConsumer),
		},
		want: []summary{{Name: "data", ClaimName: "data", PV: "pv1", Class: "fast", ID: csi}},
	},
	"a bound claim whose StorageClass is gone": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").Class("gone").BoundTo("pv1").Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("data").Obj()},
		want:    []summary{{Name: "data", ClaimName: "data", PV: "pv1", ID: csi}},
	},
	"a claim being deleted is still bound": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Deleting(deletedAt).Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("data").Obj()},
		want:    []summary{{Name: "data", ClaimName: "data", PV: "pv1", ID: csi, Deleting: true}},
	},
	"an unbound claim that waits for its pod": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").Class("late").Obj(), builders.MakeClass("late", storagev1.VolumeBindingWaitForFirstConsumer)},
		want:    []summary{{Name: "data", ClaimName: "data", Status: WaitingForConsumer, Class: "late"}},
	},
	"an unbound claim that waits for nobody": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").Class("now").Obj(), builders.MakeClass("now", storagev1.VolumeBindingImmediate)},
		want:    []summary{{Name: "data", ClaimName: "data", Status: WaitingForVolume, Class: "now"}},
	},
	"an unbound claim whose StorageClass is gone": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").Class("gone").Obj()},
		want:    []summary{{Name: "data", ClaimName: "data", Status: WaitingForVolume}},
	},
	"a claim that is missing": {
		pod:  podWith(claimVolume("data")),
		want: []summary{{Name: "data", ClaimName: "data", Status: ClaimMissing}},
	},
	"a PersistentVolume that is gone": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Obj()},
		want:    []summary{{Name: "data", ClaimName: "data", Status: VolumeLost}},
	},
	"a PersistentVolume that belongs to another claim": {
		pod:     podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("other").Obj()},
		want:    []summary{{Name: "data", ClaimName: "data", Status: VolumeLost}},
	},
	"a PersistentVolume that was reserved by name": {
		pod: podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Obj(), func() runtime.Object {
			pv := builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("data").Obj()
			pv.Spec.ClaimRef.UID = ""
			return pv
		}()},
		want: []summary{{Name: "data", ClaimName: "data", PV: "pv1", ID: csi}},
	},
	"a PersistentVolume that is not CSI and of no kind that drivers know": {
		pod: podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Obj(), builders.MakePV("pv1").ClaimedBy("data").
			Source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer"}}).Obj()},
		want: []summary{{Name: "data", ClaimName: "data", PV: "pv1"}},
	},
	"a local PersistentVolume": {
		pod: podWith(claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Obj(), builders.MakePV("pv1").ClaimedBy("data").
			Source(corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disk"}}).Obj()},
		want: []summary{{Name: "data", ClaimName: "data", PV: "pv1", ID: drivers.VolumeID{Provisioner: drivers.LocalVolume, Handle: "pv1"}}},
	},
	"a generic ephemeral volume": {
		pod:     podWith(ephemeralVolume("scratch")),
		objects: []runtime.Object{builders.MakeClaim("db-0-scratch").BoundTo("pv1").OwnedBy(podWith()).Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("db-0-scratch").Obj()},
		want:    []summary{{Name: "scratch", ClaimName: "db-0-scratch", PV: "pv1", ID: csi}},
	},
	"a generic ephemeral volume whose claim is somebody else's": {
		pod:     podWith(ephemeralVolume("scratch")),
		objects: []runtime.Object{builders.MakeClaim("db-0-scratch").BoundTo("pv1").Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("db-0-scratch").Obj()},
		want:    []summary{{Name: "scratch", ClaimName: "db-0-scratch", Status: ClaimForeign}},
	},
	"several volumes keep the pod's order": {
		pod:     podWith(ephemeralVolume("scratch"), claimVolume("data")),
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv1").Obj(), builders.MakePV("pv1").CSI("csi.example.com", "h1").ClaimedBy("data").Obj()},
		want:    []summary{{Name: "scratch", ClaimName: "db-0-scratch", Status: ClaimMissing}, {Name: "data", ClaimName: "data", PV: "pv1", ID: csi}},
	},
}

func TestResolve(t *testing.T) {
	for name, tc := range resolveTests {
		t.Run(name, func(t *testing.T) {
			resolved, err := newResolver(t, tc.objects...).Resolve(tc.pod)
			if err != nil {
				t.Fatalf("Resolve: %v", err)
			}
			if diff := cmp.Diff(tc.want, summarise(resolved)); diff != "" {
				t.Errorf("volumes (-want +got):\n%s", diff)
			}
			if want := len(tc.want) > 0; HasClaims(tc.pod) != want {
				t.Errorf("HasClaims = %t, want %t", HasClaims(tc.pod), want)
			}
		})
	}
}

func newResolver(t *testing.T, objects ...runtime.Object) *Resolver {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(objects...), 0)
	resolver := &Resolver{
		Claims:  factory.Core().V1().PersistentVolumeClaims().Lister(),
		PVs:     factory.Core().V1().PersistentVolumes().Lister(),
		Classes: factory.Storage().V1().StorageClasses().Lister(),
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	return resolver
}

func summarise(volumes []Volume) []summary {
	var summaries []summary
	for _, v := range volumes {
		s := summary{Name: v.Name, ClaimName: v.ClaimName, Status: v.Status, ID: v.ID}
		if v.Claim != nil {
			s.Deleting = v.Claim.DeletionTimestamp != nil
		}
		if v.PV != nil {
			s.PV = v.PV.Name
		}
		if v.Class != nil {
			s.Class = v.Class.Name
		}
		summaries = append(summaries, s)
	}
	return summaries
}
