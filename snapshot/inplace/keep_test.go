// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// completed is a world in which the restore is done, and its old volumes are kept.
func completed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.told()
	return w
}

func (w *world) askRollback() {
	w.change(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Rollback = true })
}

// TestTheOldVolumesAreKept for as long as was said, and until confirmed.
func TestTheOldVolumesAreKept(t *testing.T) {
	given := map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete"}
	for name, tc := range map[string]struct {
		act  func(*world)
		want map[string]string
	}{
		"shortly before the window ends": {func(w *world) { w.clock.Step(time.Hour - time.Second) }, after},
		"after it":                       {func(w *world) { w.clock.Step(time.Hour + time.Second) }, given},
		"confirmed": {func(w *world) {
			w.change(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Confirm = true })
		}, given},
		"another claim has an old volume": {func(w *world) {
			w.updateVolume("old-data-db-0", func(v *corev1.PersistentVolume) {
				v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace, Name: "other", UID: "other"}
			})
			w.clock.Step(2 * time.Hour)
		}, map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain"}},
		"a claim names an old volume": {func(w *world) {
			rescue := w.claimFor("rescue", map[string]string{"app": "db", "pod": "rescue"})
			rescue.Annotations = map[string]string{"team": "blue"}
			rescue.Spec.VolumeName = "old-data-db-0"
			w.create(rescue)
			w.clock.Step(2 * time.Hour)
		}, map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			tc.act(w)
			w.settle()
			w.rounds(4)
			w.wantWorld(tc.want)
			safe := w.safety() != nil
			if kept := len(tc.want) == len(after); safe != kept {
				t.Errorf("the safety snapshot is there: %v, want %v", safe, kept)
			}
			if undoable := meta.IsStatusConditionTrue(w.restore().Status.Conditions, snapshotv1alpha1.ConditionUndoable); undoable != safe {
				t.Errorf("Undoable is %v, want %v", undoable, safe)
			}
			if held := controllerutil.ContainsFinalizer(w.restore(), snapshotv1alpha1.FinalizerRestore); held != safe {
				t.Errorf("the restore has its finalizer: %v, want %v", held, safe)
			}
		})
	}
}

// TestTheOnlyCopyIsKept has the restored claim deleted before the window ends, and its volume with it.
func TestTheOnlyCopyIsKept(t *testing.T) {
	for name, tc := range map[string]struct {
		// workload is how many replicas the StatefulSet has then: with some it makes an empty claim of that name.
		workload int32
		confirm  bool
		want     map[string]string
	}{
		"nobody makes the claim again":                {want: map[string]string{"data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain"}},
		"nobody makes the claim again, and confirmed": {confirm: true, want: map[string]string{"data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain"}},
		"the StatefulSet makes an empty one": {workload: 2, want: map[string]string{
			"data-db-0": "empty, Delete", "data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain",
		}},
		"the StatefulSet makes an empty one, and confirmed": {workload: 2, confirm: true, want: map[string]string{
			"data-db-0": "empty, Delete", "data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			w.scale(0)
			w.settle()
			w.must(w.api.Delete(t.Context(), w.claim("data-db-0")))
			w.settle()
			w.scale(tc.workload)
			w.settle()
			if tc.confirm {
				w.change(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Confirm = true })
			} else {
				w.clock.Step(2 * time.Hour)
			}
			w.rounds(4)
			if diff := cmp.Diff(tc.want, w.holds()); diff != "" {
				t.Errorf("claims and volumes (-want +got):\n%s", diff)
			}
			const want = "left with the reclaim policy Retain: old-data-db-0, as claim data-db-0 was deleted, made anew or restored again since"
			if told := w.told(); strings.Count(told, want) != 1 {
				t.Errorf("events, which should say once %q:\n%s", want, told)
			}
			if w.safety() == nil {
				t.Error("the safety snapshot is gone, though nobody knows what else there is of the claim")
			}
		})
	}
}

// TestTheOnlyCopyIsKeptWhileItIsBeingLost has the restored content on its way out when the window ends.
func TestTheOnlyCopyIsKeptWhileItIsBeingLost(t *testing.T) {
	for name, act := range map[string]func(*world){
		"the claim is being deleted, and a pod uses it": func(w *world) { w.must(w.api.Delete(w.t.Context(), w.claim("data-db-0"))) },
		"the volume is being deleted": func(w *world) {
			w.updateVolume(w.member("data-db-0").NewVolume, func(v *corev1.PersistentVolume) { v.Finalizers = []string{"kubernetes.io/pv-protection"} })
			w.must(w.api.Delete(w.t.Context(), w.volume(w.member("data-db-0").NewVolume)))
		},
		"the volume is gone, and the claim not yet Lost": func(w *world) { w.loseVolumeOf("data-db-0") },
		"a person made the claim anew for the volume":    func(w *world) { w.makeAnewFor("data-db-0") },
		"the claim has a third volume": func(w *world) {
			w.create(w.volumeFor(w.claim("data-db-0"), "third", "empty"))
			w.updateClaim("data-db-0", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "third" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			act(w)
			w.clock.Step(2 * time.Hour)
			w.rounds(4)
			if got := w.reason(snapshotv1alpha1.ConditionUndoable); got != ReasonGivenUp {
				t.Errorf("Undoable is False for %s, want %s", got, ReasonGivenUp)
			}
			if old := w.volume("old-data-db-0"); old == nil || old.Spec.PersistentVolumeReclaimPolicy != retain {
				t.Errorf("the old volume is %v, want it kept", old)
			}
			if w.volume("old-data-db-1") != nil {
				t.Error("the old volume of the claim that has its content is kept, too")
			}
		})
	}
}

// TestTheOnlyCopyIsKeptAfterARollback is the same the other way round: what was restored is kept, and the safety snapshot, which is all
// that is left of the present.
func TestTheOnlyCopyIsKeptAfterARollback(t *testing.T) {
	w := completed(t)
	w.askRollback()
	w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
	w.scale(0)
	w.settle()
	w.must(w.api.Delete(t.Context(), w.claim("data-db-0")))
	w.settle()
	w.clock.Step(2 * time.Hour)
	w.rounds(4)
	want := map[string]string{"data-db-1": "present, Delete", "another volume of data-db-0": "past, Retain"}
	if diff := cmp.Diff(want, w.holds()); diff != "" {
		t.Errorf("claims and volumes (-want +got):\n%s", diff)
	}
	if w.safety() == nil {
		t.Error("the safety snapshot was deleted, which had the only copy of the present")
	}
}

// TestAnotherNamespacesVolumeIsLeftAlone has somebody name one in the status, who may write that.
func TestAnotherNamespacesVolumeIsLeftAlone(t *testing.T) {
	w := completed(t)
	gold := w.volumeFor(w.claim("data-db-0"), "gold", present)
	gold.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "elsewhere", Name: "gold", UID: "u-gold"}
	gold.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	w.create(gold)
	gold.Status.Phase = corev1.VolumeReleased
	w.must(w.api.Status().Update(t.Context(), gold))
	restore := w.restore()
	restore.Status.Claims[0].OldVolume, restore.Status.Claims[0].OldUID, restore.Status.Claims[0].OldReclaimPolicy = "gold", "u-gold", "Delete"
	w.must(w.api.Status().Update(t.Context(), restore))
	w.change(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Confirm = true })
	w.rounds(4)
	if left := w.volume("gold"); left == nil || left.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
		t.Errorf("the volume of another namespace is %+v, want it as it was", left)
	}
}

// TestRetainIsPassedOn has an old volume that somebody set to Retain: the new one gets it, and the old one stays for ever.
func TestRetainIsPassedOn(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.updateVolume("old-data-db-0", func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	})
	w.ask()
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.clock.Step(2 * time.Hour)
	w.rounds(4)
	w.wantWorld(map[string]string{"data-db-0": "past, Retain", "data-db-1": "past, Delete", "volume old-data-db-0": "present, Retain"})
}

// TestRolledBack has the claims get their old volumes again. What was written since is kept for the window, too.
func TestRolledBack(t *testing.T) {
	w := completed(t)
	w.askRollback()
	w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
	kept := map[string]string{
		"data-db-0": "present, Delete", "data-db-1": "present, Delete",
		"another volume of data-db-0": "past, Retain", "another volume of data-db-1": "past, Retain",
	}
	w.wantWorld(kept)
	w.clock.Step(time.Hour - time.Second)
	w.rounds(3)
	w.wantWorld(kept)
	w.clock.Step(2 * time.Second)
	w.rounds(3)
	w.wantWorld(before)
	if w.safety() != nil {
		t.Error("the safety snapshot is left for ever")
	}
}

// TestRollbackWaitsForPods does not touch a claim while a pod uses it.
func TestRollbackWaitsForPods(t *testing.T) {
	w := completed(t)
	uid := w.claim("data-db-0").UID
	w.stuckPods = true
	w.askRollback()
	w.rounds(10)
	w.says("waiting for 2 pods of StatefulSet db to end")
	if claim := w.claim("data-db-0"); claim.UID != uid || claim.DeletionTimestamp != nil {
		t.Error("the claim of a running pod is deleted")
	}
	w.stuckPods = false
	w.settle()
	w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
}

// TestARollbackThatNeverStopsEndsWithItsRestore has a pod that does not end, as on a node that is gone: deleting the restore is
// the way out.
func TestARollbackThatNeverStopsEndsWithItsRestore(t *testing.T) {
	w := completed(t)
	w.stuckPods = true
	w.askRollback()
	w.rounds(10)
	w.must(w.api.Delete(t.Context(), w.restore()))
	w.rounds(4)
	w.stuckPods = false
	w.settle()
	w.rounds(4)
	if w.restoreExists() {
		t.Errorf("the restore is still there: %s", w.restore().Status.Message)
	}
	w.wantWorld(after)
	if got := *w.set().Spec.Replicas; got != 2 {
		t.Errorf("%d replicas, want 2", got)
	}
}

func (w *world) restoreExists() bool {
	err := w.api.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "undo"}, &snapshotv1alpha1.SnapshotRestore{})
	return !apierrors.IsNotFound(err)
}

// makeAnewFor has somebody make a claim anew, for the volume that it had.
func (w *world) makeAnewFor(name string) {
	w.t.Helper()
	volume := w.claim(name).Spec.VolumeName
	w.scale(0)
	w.settle()
	w.updateVolume(volume, func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = retain })
	w.must(w.api.Delete(w.t.Context(), w.claim(name)))
	w.settle()
	w.updateVolume(volume, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "" })
	claim := w.claimFor(name, nil)
	claim.Spec.VolumeName = volume
	w.create(claim)
	w.settle()
	w.scale(2)
	w.settle()
}

// TestNoWayBack has rollbacks that cannot be. Nothing is changed then, and the old volumes that are there stay, whatever the window.
func TestNoWayBack(t *testing.T) {
	for name, tc := range map[string]struct {
		act  func(*world)
		want string
	}{
		"an old volume is gone": {
			act:  func(w *world) { w.must(w.api.Delete(w.t.Context(), w.volume("old-data-db-1"))) },
			want: "the old volume old-data-db-1 of claim data-db-1 does not exist any more",
		},
		"an old volume is another claim's": {
			act: func(w *world) {
				w.updateVolume("old-data-db-1", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name, v.Spec.ClaimRef.UID = "other", "other" })
			},
			want: "the old volume old-data-db-1 of claim data-db-1 belongs to claim shop/other by now",
		},
		"a claim was made anew": {
			act: func(w *world) {
				w.scale(0)
				w.settle()
				w.must(w.api.Delete(w.t.Context(), w.claim("data-db-1")))
				w.settle()
				w.scale(2)
				w.settle()
			},
			want: "claim data-db-1 was deleted, made anew or restored again since",
		},
		"a claim was made anew for the same volume": {
			act:  func(w *world) { w.makeAnewFor("data-db-1") },
			want: "claim data-db-1 was deleted, made anew or restored again since",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			tc.act(w)
			want, uid := w.holds(), w.claim("data-db-0").UID
			w.askRollback()
			w.rounds(3)
			w.clock.Step(2 * time.Hour)
			w.rounds(3)
			w.says(tc.want)
			if got := w.reason(snapshotv1alpha1.ConditionUndoable); got != ReasonCannotRollBack {
				t.Errorf("Undoable is False for %s, want %s", got, ReasonCannotRollBack)
			}
			if diff := cmp.Diff(want, w.holds()); diff != "" || w.claim("data-db-0").UID != uid {
				t.Errorf("claims and volumes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRollbackOfAClaimThatIsDeletedOnTheWay ends the rollback, and starts the workloads again.
func TestRollbackOfAClaimThatIsDeletedOnTheWay(t *testing.T) {
	w := completed(t)
	w.stuckPods = true
	w.askRollback()
	w.rounds(3)
	w.must(w.api.Delete(t.Context(), w.claim("data-db-1")))
	w.rounds(4)
	if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestoreCompleted {
		t.Errorf("phase is %s, want Completed", got)
	}
	if got := *w.set().Spec.Replicas; got != 2 {
		t.Errorf("replicas are %d, want 2", got)
	}
	w.keepsPresent()
}

func TestRollbackAfterTheWindow(t *testing.T) {
	w := completed(t)
	w.clock.Step(2 * time.Hour)
	w.rounds(4)
	w.askRollback()
	w.rounds(3)
	w.says("cannot roll back: the old volumes were given up")
	w.wantWorld(map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete"})
}

// TestDeletedWhileKept leaves the volumes that nobody looks after any more, and tells.
func TestDeletedWhileKept(t *testing.T) {
	for name, tc := range map[string]struct {
		act  func(*world)
		want map[string]string
		told string
	}{
		"after the restore": {func(*world) {}, after, "volume old-data-db-0 of claim data-db-0, volume old-data-db-1 of claim data-db-1"},
		"after a rollback": {
			func(w *world) {
				w.askRollback()
				w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))
			},
			map[string]string{
				"data-db-0": "present, Delete", "data-db-1": "present, Delete",
				"another volume of data-db-0": "past, Retain", "another volume of data-db-1": "past, Retain",
			}, "of claim data-db-0, volume pvc-",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := completed(t)
			tc.act(w)
			w.must(w.api.Delete(t.Context(), w.restore()))
			w.until("gone", func() bool { return w.restore() == nil })
			w.clock.Step(24 * time.Hour)
			w.rounds(2)
			w.wantWorld(tc.want)
			if told := w.told(); !strings.Contains(told, ReasonVolumeKept) || !strings.Contains(told, tc.told) {
				t.Errorf("events:\n%s", told)
			}
		})
	}
}

// TestTheNamespaceIsDeletedDuringTheSwap holds nobody up for ever, and destroys nothing.
func TestTheNamespaceIsDeletedDuringTheSwap(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.refuse = func(verb string, object client.Object) error {
		if verb != "create" || object.GetName() != "data-db-0" {
			return nil
		}
		err := apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, object.GetName(), errors.New("namespace is being terminated"))
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
		return err
	}
	w.until("the claim is gone", func() bool { return w.claim("data-db-0") == nil })
	w.rounds(2)
	w.says("the namespace is being deleted")
	w.must(w.api.Delete(t.Context(), w.restore()))
	w.until("gone", func() bool { return w.restore() == nil })
	w.settle()
	w.keepsPresent()
	if told := w.told(); !strings.Contains(told, "old-data-db-0 and pvc-") {
		t.Errorf("events:\n%s", told)
	}
}

// TestDeletedBeforeItBegan has nothing to take back.
func TestDeletedBeforeItBegan(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.updateMember("data-db-0", func(m *snapshotv1alpha1.SnapshotMember) { m.VolumeSnapshotUID = "another" })
	w.ask()
	w.rounds(1)
	w.must(w.api.Delete(t.Context(), w.restore()))
	w.until("gone", func() bool { return w.restore() == nil })
	w.wantWorld(before)
}

// TestAbortLeavesWhatIsNotItsOwn has a temporary claim's name taken by somebody, and marks of others.
func TestAbortLeavesWhatIsNotItsOwn(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	name := temporaryName("data-db-1", w.restore().UID)
	his := w.claimFor(name, map[string]string{"app": "db", "pod": name})
	his.Annotations = map[string]string{"team": "blue"}
	w.create(his)
	w.settle()
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	if claim := w.claim(name); claim == nil || claim.UID != his.UID || claim.DeletionTimestamp != nil {
		t.Errorf("the claim that somebody else made is %v", claim)
	}
	held := w.holds()
	delete(held, name)
	if diff := cmp.Diff(before, held); diff != "" {
		t.Errorf("claims and volumes (-want +got):\n%s", diff)
	}
}

// TestAbortDoesNotDestroyAReleasedVolume has the claim deleted by somebody while its old volume is set to Retain: the old policy would
// destroy it.
func TestAbortDoesNotDestroyAReleasedVolume(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.until("swap prepared", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.updateVolume("old-data-db-0", func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	})
	w.must(w.api.Delete(t.Context(), w.claim("data-db-0")))
	w.settle()
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	w.keepsPresent()
	if !slices.ContainsFunc(w.volumes(), func(v corev1.PersistentVolume) bool { return v.Name == "old-data-db-0" }) {
		t.Error("the old volume is gone")
	}
	if got := w.restore().Status.Conditions; !slices.ContainsFunc(got, func(c metav1.Condition) bool { return c.Reason == ReasonFailed }) {
		t.Errorf("conditions are %v", got)
	}
}
