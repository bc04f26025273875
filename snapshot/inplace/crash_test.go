// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/workloads"
)

var (
	before = map[string]string{"data-db-0": "present, Delete", "data-db-1": "present, Delete"}
	after  = map[string]string{
		"data-db-0": "past, Delete", "data-db-1": "past, Delete",
		"volume old-data-db-0": "present, Retain", "volume old-data-db-1": "present, Retain",
	}
)

// wantWorld checks what claims and volumes hold, and that everything runs as it did, with nothing of the restore left on it.
func (w *world) wantWorld(want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.holds()); diff != "" {
		w.t.Errorf("claims and volumes (-want +got):\n%s", diff)
	}
	for _, claim := range w.claims() {
		if claim.Annotations["team"] != "blue" || claim.Labels["app"] != "db" || claim.Labels["pod"] != claim.Name {
			w.t.Errorf("claim %s has labels %v and annotations %v", claim.Name, claim.Labels, claim.Annotations)
		}
		if holder, ok := claim.Annotations[snapshotv1alpha1.AnnotationRestoring]; ok {
			w.t.Errorf("claim %s is still held for %s", claim.Name, holder)
		}
		if claim.Spec.DataSource != nil {
			w.t.Errorf("claim %s has a data source: nobody could make it again", claim.Name)
		}
	}
	set := w.set()
	if *set.Spec.Replicas != 2 || w.running() != 2 {
		w.t.Errorf("replicas are %d and %d pods run, want 2 and 2", *set.Spec.Replicas, w.running())
	}
	for _, key := range []string{snapshotv1alpha1.AnnotationRestoring, workloads.AnnotationReplicas} {
		if _, ok := set.Annotations[key]; ok {
			w.t.Errorf("the StatefulSet has the annotation %s still", key)
		}
	}
}

// keepsPresent checks that what the claims held when the restore was asked for is somewhere.
func (w *world) keepsPresent() {
	w.t.Helper()
	for name, what := range w.destroyed {
		if what == present {
			w.t.Fatalf("volume %s was destroyed, which held the only copy of the present", name)
		}
	}
}

// crashTests are what a process may end in the middle of.
var crashTests = []struct {
	name string
	mode storagev1.VolumeBindingMode
	// prepare is done before the writes are counted.
	prepare func(*world)
	run     func(*world)
	want    map[string]string
}{
	{
		name: "restore", mode: storagev1.VolumeBindingImmediate,
		run:  func(w *world) { w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted)) },
		want: after,
	},
	{
		name: "restore, volumes made for the first pod", mode: storagev1.VolumeBindingWaitForFirstConsumer,
		run:  func(w *world) { w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted)) },
		want: after,
	},
	{
		name: "a safety snapshot that fails", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) { w.failSafety = true },
		run:     func(w *world) { w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed)) },
		want:    before,
	},
	{
		name: "a new volume that is lost before its claim gets it", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) {
			w.until("swapping", w.phase(snapshotv1alpha1.RestoreSecuring))
			w.loseVolumeOf("data-db-1")
		},
		run:  func(w *world) { w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed)) },
		want: before,
	},
	{
		name: "a new volume that is lost when another claim has its own", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) {
			w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
			w.refuseTo("delete", w.member("data-db-1").TemporaryClaim)
			w.until("one is swapped", func() bool { return w.member("data-db-0").State == snapshotv1alpha1.ClaimRestored })
			w.refuse = nil
			w.loseVolumeOf("data-db-1")
		},
		run:  func(w *world) { w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed)) },
		want: before,
	},
	{
		name: "rollback", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) {
			w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
			w.change(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Rollback = true })
		},
		run: func(w *world) { w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack)) },
		want: map[string]string{
			"data-db-0": "present, Delete", "data-db-1": "present, Delete",
			"another volume of data-db-0": "past, Retain", "another volume of data-db-1": "past, Retain",
		},
	},
	{
		name: "a rollback that ends at the deadline", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) {
			w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
			w.stuckPods = true
			w.change(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Rollback = true })
			w.until("stopped", func() bool { return *w.set().Spec.Replicas == 0 })
			w.clock.Step(48 * time.Hour)
		},
		run:  func(w *world) { w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted)) },
		want: after,
	},
	{
		name: "deleted while it waits for the safety snapshot", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) {
			w.stuckSnapshots = true
			w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
			w.must(w.api.Delete(w.t.Context(), w.restore()))
		},
		run:  func(w *world) { w.until("gone", func() bool { return w.restore() == nil }) },
		want: before,
	},
	{
		name: "deleted while claims change their volumes", mode: storagev1.VolumeBindingImmediate,
		prepare: func(w *world) {
			w.until("swapping", w.phase(snapshotv1alpha1.RestoreSecuring))
			w.lookOnce("the swap began")
			w.must(w.api.Delete(w.t.Context(), w.restore()))
		},
		run:  func(w *world) { w.until("gone", func() bool { return w.restore() == nil }) },
		want: after,
	},
}

// TestCrashAfterEachWrite has the process end after each of the writes that a restore takes, and another one go on.
func TestCrashAfterEachWrite(t *testing.T) {
	for _, tc := range crashTests {
		t.Run(tc.name, func(t *testing.T) {
			total := 1
			for n := 0; n <= total; n++ {
				w := newWorld(t, tc.mode)
				w.ask()
				if tc.prepare != nil {
					tc.prepare(w)
				}
				w.writes = 0
				if n > 0 {
					w.allowed = n
				}
				tc.run(w)
				if n == 0 {
					total = w.writes
				}
				w.allowed = -1
				w.keepsPresent()
				w.wantWorld(tc.want)
				if t.Failed() {
					t.Fatalf("after a crash at write %d of %d", n, total)
				}
			}
			t.Logf("%d writes", total)
		})
	}
}

// TestEachWriteFailsOnce has the API server refuse one write after the other, and the same process go on.
func TestEachWriteFailsOnce(t *testing.T) {
	for _, tc := range crashTests {
		t.Run(tc.name, func(t *testing.T) {
			for n, failed := 1, true; failed; n++ {
				w := newWorld(t, tc.mode)
				w.ask()
				if tc.prepare != nil {
					tc.prepare(w)
				}
				count := 0
				w.refuse = func(string, client.Object) error {
					if count++; count == n {
						return apierrors.NewServerTimeout(schema.GroupResource{Resource: "objects"}, "write", 1)
					}
					return nil
				}
				tc.run(w)
				failed = count >= n
				w.keepsPresent()
				w.wantWorld(tc.want)
				if t.Failed() {
					t.Fatalf("after write %d failed", n)
				}
			}
		})
	}
}

// TestCrashWhileGivingUp has the process end after each write that it takes to let the old volumes go.
func TestCrashWhileGivingUp(t *testing.T) {
	total := 1
	for n := 0; n <= total; n++ {
		w := newWorld(t, storagev1.VolumeBindingImmediate)
		w.ask()
		w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
		w.writes = 0
		if n > 0 {
			w.allowed = n
		}
		w.clock.Step(time.Hour + time.Second)
		w.until("given up", func() bool {
			return w.reason(snapshotv1alpha1.ConditionUndoable) == ReasonGivenUp
		})
		if n == 0 {
			total = w.writes
		}
		w.allowed = -1
		w.wantWorld(map[string]string{"data-db-0": "past, Delete", "data-db-1": "past, Delete"})
		if t.Failed() {
			t.Fatalf("after a crash at write %d of %d", n, total)
		}
	}
}
