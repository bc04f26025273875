// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func (w *world) updateClaim(name string, change func(*corev1.PersistentVolumeClaim)) {
	w.t.Helper()
	claim := w.claim(name)
	change(claim)
	w.must(w.api.Update(w.t.Context(), claim))
}

func (w *world) updateVolume(name string, change func(*corev1.PersistentVolume)) {
	w.t.Helper()
	volume := w.volume(name)
	change(volume)
	w.must(w.api.Update(w.t.Context(), volume))
}

func (w *world) updateMember(name string, change func(*snapshotv1alpha1.SnapshotMember)) {
	w.t.Helper()
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{}
	w.must(w.api.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "friday"}, snapshot))
	for i := range snapshot.Status.Members {
		if snapshot.Status.Members[i].ClaimName == name {
			change(&snapshot.Status.Members[i])
		}
	}
	w.must(w.api.Status().Update(w.t.Context(), snapshot))
}

func (w *world) podOf(owner *metav1.OwnerReference) {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shell"},
		Spec: corev1.PodSpec{NodeName: "n1", Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-db-1"},
		}}}},
	}
	if owner != nil {
		owner.Controller = ptr.To(true)
		pod.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	w.create(pod)
}

// refusals are restores that cannot be.
var refusals = map[string]struct {
	prepare func(*world)
	spec    func(*snapshotv1alpha1.SnapshotRestore)
	want    string
}{
	"a claim that is no member": {
		spec: func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.InPlace.ClaimNames = []string{"other"} },
		want: "claim other is not in snapshot friday",
	},
	"one of all members has no snapshot": {
		prepare: func(w *world) {
			w.updateMember("data-db-1", func(m *snapshotv1alpha1.SnapshotMember) { m.State = snapshotv1alpha1.MemberFailed })
		},
		want: "claim data-db-1 has no snapshot in friday that can be restored: name the others in claimNames",
	},
	"another VolumeSnapshot of that name": {
		prepare: func(w *world) {
			w.updateMember("data-db-1", func(m *snapshotv1alpha1.SnapshotMember) { m.VolumeSnapshotUID = "another" })
		},
		want: "is another one than was taken",
	},
	"a claim that does not exist": {
		prepare: func(w *world) {
			w.updateMember("data-db-1", func(m *snapshotv1alpha1.SnapshotMember) { m.ClaimName = "gone" })
		},
		want: "claim gone does not exist: restore it with newClaims",
	},
	"a claim that is being deleted": {
		prepare: func(w *world) { w.must(w.api.Delete(w.t.Context(), w.claim("data-db-1"))) },
		want:    "claim data-db-1 is being deleted",
	},
	"a claim without a class": {
		prepare: func(w *world) {
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("") })
		},
		want: "claim data-db-1 has no StorageClass",
	},
	"a class that is gone": {
		prepare: func(w *world) {
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("slow") })
		},
		want: "StorageClass slow of claim data-db-1 does not exist",
	},
	"a class of another driver": {
		prepare: func(w *world) {
			mode := storagev1.VolumeBindingImmediate
			w.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "slow"}, Provisioner: "other.example.com", VolumeBindingMode: &mode})
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("slow") })
		},
		want: "StorageClass slow of claim data-db-1 is of other.example.com, its snapshot of csi.example.com",
	},
	"a generic ephemeral volume": {
		prepare: func(w *world) {
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) {
				c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "db-1", UID: "x", Controller: ptr.To(true)}}
			})
		},
		want: "claim data-db-1 is a generic ephemeral volume of pod db-1",
	},
	"a claim that another restore holds": {
		prepare: func(w *world) {
			w.create(&snapshotv1alpha1.SnapshotRestore{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "other"}})
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations[snapshotv1alpha1.AnnotationRestoring] = "other" })
		},
		want: "claim data-db-1 is being restored by SnapshotRestore other",
	},
	"a claim with the mark of a restore that is gone": {
		prepare: func(w *world) {
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations[snapshotv1alpha1.AnnotationRestoring] = "other" })
		},
		want: "claim data-db-1 was being restored by a SnapshotRestore other that is gone: see that all is as it should be, and take its annotation roost.dev/restoring away",
	},
	"a claim with the mark of an earlier restore of this name": {
		prepare: func(w *world) {
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations[snapshotv1alpha1.AnnotationRestoring] = "undo" })
		},
		want: "claim data-db-1 was being restored by a SnapshotRestore undo that is gone",
	},
	"a volume of another driver": {
		prepare: func(w *world) {
			w.updateVolume("old-data-db-1", func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "other.example.com" })
		},
		want: "volume old-data-db-1 of claim data-db-1 is not of CSI driver csi.example.com",
	},
	"a volume that is another claim's": {
		prepare: func(w *world) {
			w.updateVolume("old-data-db-1", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "other" })
		},
		want: "volume old-data-db-1 is not bound to claim data-db-1",
	},
	"another volume mode": {
		prepare: func(w *world) {
			w.updateMember("data-db-1", func(m *snapshotv1alpha1.SnapshotMember) { m.VolumeMode = corev1.PersistentVolumeBlock })
		},
		want: "claim data-db-1 has volumeMode Filesystem, its snapshot has Block",
	},
	"a claim that cannot be written down": {
		prepare: func(w *world) {
			w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations["long"] = strings.Repeat("x", longestManifest) })
		},
		want: "shorten its annotations",
	},
	"a pod of nobody": {
		prepare: func(w *world) { w.podOf(nil) },
		want:    "pod shell belongs to no workload",
	},
	"a pod of a DaemonSet": {
		prepare: func(w *world) {
			w.podOf(&metav1.OwnerReference{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "agent", UID: "a"})
		},
		want: "pod shell is of DaemonSet agent, which cannot be scaled",
	},
	"a StatefulSet that would delete the claims": {
		prepare: func(w *world) {
			set := w.set()
			set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
			w.must(w.api.Update(w.t.Context(), set))
		},
		want: "whenScaled: Delete",
	},
	"another restore at work on a claim": {
		prepare: func(w *world) {
			other := &snapshotv1alpha1.SnapshotRestore{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "other"},
				Spec:       snapshotv1alpha1.SnapshotRestoreSpec{InPlace: &snapshotv1alpha1.InPlace{}},
			}
			w.create(other)
			other.Status.Phase = snapshotv1alpha1.RestorePopulating
			other.Status.Claims = []snapshotv1alpha1.RestoredClaim{{Name: "data-db-1"}}
			w.must(w.api.Status().Update(w.t.Context(), other))
		},
		want: "claim data-db-1 is being restored by SnapshotRestore other",
	},
}

// TestRefusedBeforeAnythingIsTouched has restores that cannot be, each told why.
func TestRefusedBeforeAnythingIsTouched(t *testing.T) {
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storagev1.VolumeBindingImmediate)
			if tc.prepare != nil {
				tc.prepare(w)
			}
			want := w.holds()
			if tc.spec != nil {
				w.ask(tc.spec)
			} else {
				w.ask()
			}
			for range 3 {
				if _, err := w.look("undo"); err != nil {
					t.Fatal(err)
				}
			}
			if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestoreFailed {
				t.Errorf("phase is %s, want Failed", got)
			}
			w.says(tc.want)
			if diff := cmp.Diff(want, w.holds()); diff != "" {
				t.Errorf("claims and volumes (-want +got):\n%s", diff)
			}
			if got := *w.set().Spec.Replicas; got != 2 {
				t.Errorf("replicas are %d, want 2", got)
			}
		})
	}
}

// TestWaitsForTheSnapshot has a restore that is asked for before its snapshot is ready. At the deadline it is not made any more.
func TestWaitsForTheSnapshot(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	cut := &snapshotv1.VolumeSnapshot{}
	w.must(w.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "friday-data-db-1"}, cut))
	cut.Status.ReadyToUse = nil
	w.must(w.api.Update(t.Context(), cut))
	w.ask()
	w.lookOnce("waiting")
	if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestorePending {
		t.Errorf("phase is %s, want Pending", got)
	}
	w.says("friday-data-db-1 is not ready to use")
	w.clock.Step(24*time.Hour + time.Second)
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	w.wantWorld(before)
}

func TestSizeIsTheMostOfAll(t *testing.T) {
	for name, tc := range map[string]struct{ request, capacity, restoreSize, want string }{
		"the claim was enlarged since":        {"2Gi", "2Gi", "1Gi", "2Gi"},
		"the volume is larger than asked for": {"1Gi", "4Gi", "1Gi", "4Gi"},
		"the snapshot needs more":             {"1Gi", "1Gi", "3Gi", "3Gi"},
		"the storage system says nothing":     {"1Gi", "1Gi", "", "1Gi"},
		"the storage system says 0":           {"1Gi", "1Gi", "0", "1Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{}
			claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(tc.request)}
			claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(tc.capacity)}
			member := &snapshotv1alpha1.SnapshotMember{}
			if tc.restoreSize != "" {
				member.RestoreSize = ptr.To(resource.MustParse(tc.restoreSize))
			}
			if got := sizeOf(claim, member); got.String() != tc.want {
				t.Errorf("size = %s, want %s", got.String(), tc.want)
			}
		})
	}
}

func TestClaimsThatDoNotFitIntoOneStatus(t *testing.T) {
	claims := make([]snapshotv1alpha1.RestoredClaim, 40)
	for i := range claims {
		claims[i].Manifest = strings.Repeat("x", longestManifest)
	}
	if err := roomFor(claims); err == nil {
		t.Error("40 long claims are taken, which the API server would not take")
	}
	if err := roomFor(claims[:32]); err != nil {
		t.Errorf("32 long claims are refused: %v", err)
	}
}

func TestTemporaryNames(t *testing.T) {
	long := strings.Repeat("a", 253)
	names := map[string]bool{}
	for _, name := range []string{temporaryName("data", "1"), temporaryName("data", "2"), temporaryName("data2", "1"), temporaryName(long, "1"), temporaryName(long[:252]+"b", "1")} {
		if names[name] || len(name) > 253 {
			t.Errorf("name %s of length %d, taken: %v", name, len(name), names[name])
		}
		names[name] = true
	}
}
