// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// refuseClaim has a quota in the way of a claim.
func refuseClaim(name string) func(string, client.Object) error {
	return func(verb string, object client.Object) error {
		if verb == "create" && object.GetName() == name {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, name, errors.New("exceeded quota: claims"))
		}
		return nil
	}
}

// TestARestoreThatIsOverHasNoFinalizer: a cluster without Roost can delete it. One that can still be undone has it.
func TestARestoreThatIsOverHasNoFinalizer(t *testing.T) {
	for name, tc := range map[string]struct {
		act  func(*world)
		held bool
	}{
		"it can be undone": {func(*world) {}, true},
		"given up":         {func(w *world) { w.clock.Step(2 * time.Hour) }, false},
		"asked for a rollback when it was given up": {func(w *world) {
			w.clock.Step(2 * time.Hour)
			w.rounds(4)
			w.askRollback()
			w.lookOnce("told that it is too late")
			if controllerutil.ContainsFinalizer(w.restore(), snapshotv1alpha1.FinalizerRestore) {
				w.t.Error("it got its finalizer again")
			}
		}, false},
		"rolled back, and the window is open": {func(w *world) {
			w.askRollback()
			w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
		}, true},
		"rolled back, and the window is over": {func(w *world) {
			w.askRollback()
			w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
			w.clock.Step(2 * time.Hour)
		}, false},
		"there is no way back": {func(w *world) {
			w.must(w.api.Delete(w.t.Context(), w.volume("old-data-db-1")))
			w.askRollback()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			tc.act(w)
			w.rounds(4)
			if got := controllerutil.ContainsFinalizer(w.restore(), snapshotv1alpha1.FinalizerRestore); got != tc.held {
				t.Errorf("it has its finalizer: %v, want %v", got, tc.held)
			}
			writes := w.writes
			w.rounds(2)
			if w.writes != writes {
				t.Errorf("%d more writes, want 0", w.writes-writes)
			}
		})
	}
	t.Run("failed", func(t *testing.T) {
		w := newWorld(t, storagev1.VolumeBindingImmediate)
		w.failSafety = true
		w.ask()
		w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
		w.rounds(2)
		if controllerutil.ContainsFinalizer(w.restore(), snapshotv1alpha1.FinalizerRestore) {
			t.Error("it has its finalizer still")
		}
	})
}

// TestARollbackEndsAtTheDeadline has a pod that does not end: the application is not at 0 for ever, and nothing was changed.
func TestARollbackEndsAtTheDeadline(t *testing.T) {
	w := completed(t)
	w.clock.Step(30 * time.Minute)
	w.stuckPods = true
	w.askRollback()
	w.rounds(5)
	w.clock.Step(24*time.Hour - time.Minute)
	w.rounds(3)
	if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestoreRollingBack {
		t.Fatalf("phase is %s before the deadline, want RollingBack", got)
	}
	w.clock.Step(2 * time.Minute)
	w.rounds(4)
	if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestoreCompleted {
		t.Fatalf("phase is %s after it, want Completed", got)
	}
	w.says("cannot roll back: the deadline of 24h0m0s passed: waiting for 2 pods of StatefulSet db to end")
	if !meta.IsStatusConditionTrue(w.restore().Status.Conditions, snapshotv1alpha1.ConditionRestored) {
		t.Error("Restored is not True, though the claims have the content of the snapshot")
	}
	w.stuckPods = false
	w.settle()
	w.clock.Step(48 * time.Hour)
	w.rounds(3)
	w.wantWorld(after)
	if w.safety() == nil {
		t.Error("the safety snapshot is gone: there is no other way back")
	}
	told := w.told()
	for _, want := range []string{"Warning " + ReasonCannotRollBack, "these volumes any more, which are left with the reclaim policy Retain: volume old-data-db-0 of claim data-db-0, volume old-data-db-1"} {
		if strings.Count(told, want) != 1 {
			t.Errorf("events, which should say %q once:\n%s", want, told)
		}
	}
}

// TestARollbackThatHasBegunToExchangeGoesOn, whatever the deadline: a claim may be gone by then.
func TestARollbackThatHasBegunToExchangeGoesOn(t *testing.T) {
	w := completed(t)
	w.refuse = refuseClaim("data-db-0")
	w.askRollback()
	w.until("the claim is gone", func() bool { return w.claim("data-db-0") == nil })
	w.clock.Step(48 * time.Hour)
	w.rounds(3)
	w.refuse = nil
	w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
}

// TestTheWayBackIsLostWhileTheWorkloadsStop ends the rollback before it changes a claim.
func TestTheWayBackIsLostWhileTheWorkloadsStop(t *testing.T) {
	w := completed(t)
	w.stuckPods = true
	w.askRollback()
	w.rounds(3)
	w.must(w.api.Delete(t.Context(), w.volume("old-data-db-1")))
	w.stuckPods = false
	w.settle()
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.rounds(2)
	w.says("cannot roll back: the old volume old-data-db-1 of claim data-db-1 does not exist any more")
	w.wantWorld(map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain"})
}

// TestRollbackToAVolumeThatAPersonFreed takes the volume that no claim has any more.
func TestRollbackToAVolumeThatAPersonFreed(t *testing.T) {
	w := completed(t)
	w.updateVolume("old-data-db-0", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil })
	w.askRollback()
	w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
	if got := w.holds()["data-db-0"]; got != "present, Delete" {
		t.Errorf("the claim holds %s, want the present", got)
	}
}

// TestAVolumeThatIsLeftIsToldOfOnce, though another one is waited for meanwhile.
func TestAVolumeThatIsLeftIsToldOfOnce(t *testing.T) {
	w := completed(t)
	w.updateVolume("old-data-db-0", func(v *corev1.PersistentVolume) {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace, Name: "other", UID: "other"}
	})
	slow := w.volume("old-data-db-1")
	slow.Status.Phase = corev1.VolumeBound
	w.must(w.api.Status().Update(t.Context(), slow))
	w.clock.Step(2 * time.Hour)
	for range 4 {
		w.lookOnce("waits for the other volume")
	}
	w.says("waiting for volume old-data-db-1 to be released")
	w.settle()
	w.rounds(4)
	if told := w.told(); strings.Count(told, ReasonVolumeKept) != 1 || !strings.Contains(told, "old-data-db-0, as it belongs to somebody else by now") {
		t.Errorf("events, which should tell of the volume once:\n%s", told)
	}
}

// TestWhoWaitsForAQuotaGivesItsPlaceBack, unless the storage system makes one of its volumes.
func TestWhoWaitsForAQuotaGivesItsPlaceBack(t *testing.T) {
	key := types.NamespacedName{Namespace: namespace, Name: "undo"}
	for claim, held := range map[string]bool{"data-db-0": false, "data-db-1": true} {
		t.Run(claim+" is refused", func(t *testing.T) {
			w := newWorld(t, storagev1.VolumeBindingImmediate)
			w.noProvisioner = true
			w.ask()
			w.refuse = refuseClaim(temporaryName(claim, w.restore().UID))
			w.rounds(3)
			w.says("exceeded quota")
			if _, ok := w.entered[key]; ok != held {
				t.Errorf("it has its place: %v, want %v", ok, held)
			}
			w.refuse, w.noProvisioner = nil, false
			w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
		})
	}
}
