// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// begin is a world with a snapshot of data and log, and a restore.
func begin(t *testing.T, change func(*snapshotv1alpha1.SnapshotRestore), more ...client.Object) *world {
	t.Helper()
	object := asked()
	if change != nil {
		change(object)
	}
	w := newWorld(t, append(append(taken("data", "log"), object), more...)...)
	w.key = client.ObjectKeyFromObject(object)
	return w
}

func lazily(object *snapshotv1alpha1.SnapshotRestore) {
	object.Spec.NewClaims.StorageClassName = lazy
}

// wantPhase fails unless the restore is there, with a reason in its condition.
func (w *world) wantPhase(phase snapshotv1alpha1.RestorePhase, reason string) *snapshotv1alpha1.SnapshotRestore {
	w.t.Helper()
	object := w.restore()
	if object == nil {
		w.t.Fatal("the restore is gone")
	}
	condition := meta.FindStatusCondition(object.Status.Conditions, snapshotv1alpha1.ConditionRestored)
	if object.Status.Phase != phase || condition == nil || condition.Reason != reason {
		w.t.Fatalf("restore is %s, %v: %s; want %s, %s; writes %q", object.Status.Phase, condition, object.Status.Message, phase, reason, w.log)
	}
	return object
}

func (w *world) wantClaims(names ...string) {
	w.t.Helper()
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(w.claims()))); diff != "" && len(names)+len(w.claims()) > 0 {
		w.t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func (w *world) wantEvent(reason string) {
	w.t.Helper()
	var seen []string
	for len(w.recorder.Events) > 0 {
		seen = append(seen, <-w.recorder.Events)
	}
	if !slices.ContainsFunc(seen, func(event string) bool { return strings.Contains(event, " "+reason+" ") }) {
		w.t.Errorf("events are %q, want %s", seen, reason)
	}
}

func TestRestore(t *testing.T) {
	w := begin(t, nil)
	w.play()
	object := w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	w.wantClaims("data-copy", "log-copy")
	if diff := cmp.Diff(map[string]string{"data-copy": "handle-data", "log-copy": "handle-log"}, w.filled); diff != "" {
		t.Errorf("claims are filled from (-want +got):\n%s", diff)
	}
	status := object.Status
	if status.SourceUID != "app-uid" || status.Consistency != snapshotv1alpha1.ConsistencyCrash || status.StartTime == nil || status.CompletionTime == nil {
		t.Errorf("status is %+v", status)
	}
	if got := status.Claims[0]; got.NewVolume != "pv-data-copy" || got.State != snapshotv1alpha1.ClaimRestored || got.UID == "" {
		t.Errorf("the journal of data-copy is %+v", got)
	}
	if len(object.Finalizers) > 0 || len(w.limits.held) > 0 {
		t.Errorf("finalizers %v, places %v, want none", object.Finalizers, w.limits.held)
	}
	w.wantEvent(EventRestored)
}

func TestARestoredClaimSaysWhereItComesFrom(t *testing.T) {
	w := begin(t, nil)
	w.play()
	claim := w.claims()["data-copy"]
	if claim.Annotations[snapshotv1alpha1.AnnotationRestoredFrom] != "prod/db" || len(claim.OwnerReferences) > 0 {
		t.Errorf("annotations %v, owners %v: want where it comes from, and no owner", claim.Annotations, claim.OwnerReferences)
	}
}

func TestARestoreThatIsOverMakesNothing(t *testing.T) {
	w := begin(t, nil)
	w.play()
	w.must(w.raw.Delete(t.Context(), w.claims()["data-copy"]))
	writes := len(w.log)
	w.restart()
	w.play()
	w.wantClaims("log-copy")
	if len(w.log) > writes {
		t.Errorf("wrote %q, want nothing", w.log[writes:])
	}
}

func TestTheJournalIsWrittenBeforeTheFirstClaim(t *testing.T) {
	w := begin(t, nil)
	w.before = func(what string) {
		object := w.restore()
		if strings.HasPrefix(what, "create") && (object.Status.Phase != snapshotv1alpha1.RestorePopulating || len(object.Status.Claims) != 2 || len(object.Finalizers) != 1) {
			t.Errorf("%s with the phase %q, %d claims and the finalizers %v in the API", what, object.Status.Phase, len(object.Status.Claims), object.Finalizers)
		}
	}
	w.play()
}

func TestInPlaceIsLeftAlone(t *testing.T) {
	w := begin(t, func(object *snapshotv1alpha1.SnapshotRestore) {
		object.Spec.NewClaims, object.Spec.InPlace = nil, &snapshotv1alpha1.InPlace{}
	})
	w.play()
	if len(w.log) > 0 {
		t.Errorf("wrote %q", w.log)
	}
}

func TestNothingIsMadeWhereOneCannotBe(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.SnapshotRestore)
		spoil  func(w *world)
		reason string
		says   string
	}{
		"a claim that exists": {
			spoil: func(w *world) {
				w.must(w.raw.Create(w.t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "log-copy"}}))
			},
			reason: restore.ReasonClaimExists, says: "log-copy exists already",
		},
		"another driver's class": {
			change: func(o *snapshotv1alpha1.SnapshotRestore) { o.Spec.NewClaims.StorageClassName = foreign },
			reason: restore.ReasonStorageClass, says: "is of the driver other",
		},
		"a size that is too small": {
			change: func(o *snapshotv1alpha1.SnapshotRestore) {
				o.Spec.NewClaims.Claims = []snapshotv1alpha1.NewClaim{{From: "data", Size: ptr.To(resource.MustParse("1Mi"))}}
			},
			reason: ReasonInvalid, says: "must be at least 1Gi",
		},
		"content that belongs to another": {
			spoil: func(w *world) {
				content := &snapshotv1.VolumeSnapshotContent{}
				w.must(w.raw.Get(w.t.Context(), client.ObjectKey{Name: "content-log"}, content))
				content.Spec.VolumeSnapshotRef.UID = "other"
				w.must(w.raw.Update(w.t.Context(), content))
			},
			reason: restore.ReasonSnapshotMisbound, says: "belongs to another one",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, tc.change)
			if tc.spoil != nil {
				tc.spoil(w)
			}
			existing := slices.Sorted(maps.Keys(w.claims()))
			w.play()
			object := w.wantPhase(snapshotv1alpha1.RestoreFailed, tc.reason)
			w.wantClaims(existing...)
			if !strings.Contains(object.Status.Message, tc.says) {
				t.Errorf("message is %q, want %q in it", object.Status.Message, tc.says)
			}
			if len(w.log) != 1 {
				t.Errorf("writes %q, want the status alone", w.log)
			}
		})
	}
}

func TestEveryProblemIsTold(t *testing.T) {
	w := begin(t, func(o *snapshotv1alpha1.SnapshotRestore) { o.Spec.NewClaims.StorageClassName = foreign })
	w.play()
	object := w.wantPhase(snapshotv1alpha1.RestoreFailed, restore.ReasonStorageClass)
	for _, claim := range []string{"data-copy", "log-copy"} {
		if !strings.Contains(object.Status.Message, claim) {
			t.Errorf("message is %q, want %s in it", object.Status.Message, claim)
		}
	}
}

func TestASnapshotThatIsNotReadyIsWaitedFor(t *testing.T) {
	for name, late := range map[string]bool{"until it is": false, "until the deadline": true} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, nil)
			app := &snapshotv1alpha1.ApplicationSnapshot{}
			w.must(w.raw.Get(t.Context(), types.NamespacedName{Namespace: "prod", Name: "db"}, app))
			app.Status.Phase = snapshotv1alpha1.PhaseUploading
			w.must(w.raw.Status().Update(t.Context(), app))
			result, err := w.reconcile()
			if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute {
				t.Errorf("looks again in %s, %v", result.RequeueAfter, err)
			}
			w.wantPhase(snapshotv1alpha1.RestorePending, restore.ReasonSourceNotReady)
			if len(w.limits.held) > 0 {
				t.Errorf("holds the place %v while it waits", w.limits.held)
			}
			if late {
				w.clock.Step(time.Hour)
				w.play()
				w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonDeadlineExceeded)
				w.wantClaims()
				return
			}
			app.Status.Phase = snapshotv1alpha1.PhaseReady
			w.must(w.raw.Status().Update(t.Context(), app))
			w.play()
			w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
		})
	}
}

func TestARestoreWaitsForItsTurn(t *testing.T) {
	w := begin(t, nil)
	w.limits.full, w.idle = true, true
	w.play()
	w.clock.Step(2 * time.Hour)
	w.play()
	w.wantPhase(snapshotv1alpha1.RestorePending, ReasonQueued)
	w.wantClaims()
	w.limits.full = false
	w.play()
	w.wantPhase(snapshotv1alpha1.RestorePopulating, ReasonPopulating)
	want := map[types.NamespacedName]map[string]int{theKey: {ours: 2}}
	if diff := cmp.Diff(want, w.limits.held); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	w.idle = false
	w.controllers()
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	if len(w.limits.held) > 0 {
		t.Errorf("still holds %v", w.limits.held)
	}
}

func TestAClaimThatWaitsForItsPodIsRestored(t *testing.T) {
	w := begin(t, lazily)
	w.limits.full = true
	w.play()
	object := w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	if !strings.Contains(object.Status.Message, "data-copy, log-copy") || !restore.NeedsSource(object) {
		t.Errorf("message %q, needs its source: %t", object.Status.Message, restore.NeedsSource(object))
	}
	w.clock.Step(1000 * time.Hour)
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	w.wantClaims("data-copy", "log-copy")
	w.consumers["data-copy"] = true
	w.controllers()
	w.must(w.raw.Delete(t.Context(), w.claims()["log-copy"]))
	w.play()
	object = w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	if restore.NeedsSource(object) || object.Status.Claims[0].NewVolume != "pv-data-copy" {
		t.Errorf("journal is %+v, needs its source: %t", object.Status.Claims, restore.NeedsSource(object))
	}
	if want := "restored 2 claims; deleted before they were filled: log-copy"; object.Status.Message != want {
		t.Errorf("message %q, want %q", object.Status.Message, want)
	}
	w.wantClaims("data-copy")
}
