// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func journalled(replicas int32) *snapshotv1alpha1.StoppedWorkload {
	return &snapshotv1alpha1.StoppedWorkload{
		APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "uid-of-db", Replicas: replicas, State: snapshotv1alpha1.WorkloadPlanned,
	}
}

func saveNothing() error { return errors.New("saved though nothing changed") }

func get(t *testing.T, c client.Client) *appsv1.StatefulSet {
	t.Helper()
	set := &appsv1.StatefulSet{}
	if err := c.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "db"}, set); err != nil {
		t.Fatal(err)
	}
	return set
}

func change(t *testing.T, c client.Client, f func(*appsv1.StatefulSet)) {
	t.Helper()
	set := get(t, c)
	f(set)
	if err := c.Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c client.Client, replicas int32, holder, annotation string) {
	t.Helper()
	set := get(t, c)
	if *set.Spec.Replicas != replicas || set.Annotations[snapshotv1alpha1.AnnotationRestoring] != holder || set.Annotations[AnnotationReplicas] != annotation {
		t.Errorf("replicas are %d and annotations %v, want %d, %q and %q", *set.Spec.Replicas, set.Annotations, replicas, holder, annotation)
	}
}

func TestStopAndStart(t *testing.T) {
	c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 3))
	workload := journalled(3)
	for range 2 {
		if err := w.Stop(t.Context(), mine, workload, saveNothing); err != nil {
			t.Fatal(err)
		}
		want(t, c, 0, "undo", "3")
	}
	for range 2 {
		if note, err := w.Start(t.Context(), mine, workload); err != nil || note != "" {
			t.Fatal(note, err)
		}
		want(t, c, 3, "", "")
	}
}

// TestStopWritesDownWhatItFinds has the workload scaled between the plan and the stop.
func TestStopWritesDownWhatItFinds(t *testing.T) {
	c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 5))
	workload, saved := journalled(3), int32(0)
	err := w.Stop(t.Context(), mine, workload, func() error {
		saved = workload.Replicas
		want(t, c, 5, "", "")
		return nil
	})
	if err != nil || saved != 5 {
		t.Fatalf("saved %d before the stop, %v, want 5", saved, err)
	}
	if _, err := w.Start(t.Context(), mine, workload); err != nil {
		t.Fatal(err)
	}
	want(t, c, 5, "", "")
}

// TestStopDoesNotGoOnUnsaved scales nothing whose replicas nobody would know again.
func TestStopDoesNotGoOnUnsaved(t *testing.T) {
	c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 5))
	if err := w.Stop(t.Context(), mine, journalled(3), func() error { return errors.New("conflict") }); err == nil {
		t.Error("stopped though the journal was not written")
	}
	want(t, c, 5, "", "")
}

func TestStopTouchesOnlyItsOwn(t *testing.T) {
	t.Run("made anew", func(t *testing.T) {
		c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 3, func(s *appsv1.StatefulSet) { s.UID = "another" }))
		if err := w.Stop(t.Context(), mine, journalled(3), saveNothing); err != nil {
			t.Fatal(err)
		}
		want(t, c, 3, "", "")
		note, err := w.Start(t.Context(), mine, journalled(3))
		if err != nil || note != "StatefulSet db is not there any more, or was made anew: it is left alone" {
			t.Errorf("note is %q, %v", note, err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		_, w := newCluster(t, interceptor.Funcs{})
		if err := w.Stop(t.Context(), mine, journalled(3), saveNothing); err != nil {
			t.Error(err)
		}
	})
	t.Run("stopped by another restore", func(t *testing.T) {
		c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 0, func(s *appsv1.StatefulSet) {
			s.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoring: "other", AnnotationReplicas: "3"}
		}))
		if err := w.Stop(t.Context(), mine, journalled(0), saveNothing); !errors.Is(err, ErrHeld) {
			t.Errorf("error is %v, want %v", err, ErrHeld)
		}
		if _, err := w.Start(t.Context(), mine, journalled(3)); err != nil {
			t.Error(err)
		}
		want(t, c, 0, "other", "3")
	})
	t.Run("changed since it was read", func(t *testing.T) {
		var w *Workloads
		var c client.Client
		c, w = newCluster(t, interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, inner client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
			change(t, c, func(s *appsv1.StatefulSet) { s.Labels = map[string]string{"changed": "meanwhile"} })
			return inner.SubResource(name).Update(ctx, object, options...)
		}}, statefulSet("db", 3))
		if err := w.Stop(t.Context(), mine, journalled(3), saveNothing); !apierrors.IsConflict(err) {
			t.Errorf("error is %v, want a conflict", err)
		}
		want(t, c, 3, "undo", "3")
	})
}

// TestOneWithoutReplicasIsMarked so that no other restore takes it for one that nobody stopped.
func TestOneWithoutReplicasIsMarked(t *testing.T) {
	c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 0))
	if err := w.Stop(t.Context(), mine, journalled(0), saveNothing); err != nil {
		t.Fatal(err)
	}
	want(t, c, 0, "undo", "0")
	if _, err := w.Start(t.Context(), mine, journalled(0)); err != nil {
		t.Fatal(err)
	}
	want(t, c, 0, "", "")
}

// TestStartLeavesWhatSomebodyScaled has the replicas changed while the workload was stopped.
func TestStartLeavesWhatSomebodyScaled(t *testing.T) {
	c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 3))
	if err := w.Stop(t.Context(), mine, journalled(3), saveNothing); err != nil {
		t.Fatal(err)
	}
	change(t, c, func(s *appsv1.StatefulSet) { *s.Spec.Replicas = 1 })
	note, err := w.Start(t.Context(), mine, journalled(3))
	if err != nil || note != "StatefulSet db was scaled to 1 meanwhile and had 3 before: it is left so" {
		t.Errorf("note is %q, %v", note, err)
	}
	want(t, c, 1, "", "")
}

// TestStartOfAWorkloadThatLostItsMark has somebody write the annotations whole, as an operator does.
func TestStartOfAWorkloadThatLostItsMark(t *testing.T) {
	for name, tc := range map[string]struct {
		state    snapshotv1alpha1.WorkloadState
		holder   string
		want     int32
		wantNote string
	}{
		"it was stopped":                 {state: snapshotv1alpha1.WorkloadStopped, want: 3},
		"nothing says who stopped it":    {state: snapshotv1alpha1.WorkloadPlanned, wantNote: "StatefulSet db was scaled to 0 meanwhile and had 3 before: it is left so"},
		"another restore has it by then": {state: snapshotv1alpha1.WorkloadStopped, holder: "other", wantNote: "StatefulSet db is held by SnapshotRestore other: it is left alone"},
	} {
		t.Run(name, func(t *testing.T) {
			c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 3))
			if err := w.Stop(t.Context(), mine, journalled(3), saveNothing); err != nil {
				t.Fatal(err)
			}
			change(t, c, func(s *appsv1.StatefulSet) {
				s.Annotations = nil
				if tc.holder != "" {
					s.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoring: tc.holder}
				}
			})
			workload := journalled(3)
			workload.State = tc.state
			note, err := w.Start(t.Context(), mine, workload)
			if err != nil || note != tc.wantNote {
				t.Errorf("note is %q, %v, want %q", note, err, tc.wantNote)
			}
			want(t, c, tc.want, tc.holder, "")
		})
	}
}

// TestAWorkloadThatARemovedRestoreStopped has a mark of that name, from before the restore: it gets what the mark says. One that the mark
// does not say to have had replicas stays at 0.
func TestAWorkloadThatARemovedRestoreStopped(t *testing.T) {
	for name, tc := range map[string]struct {
		mark string
		want int32
	}{
		"with replicas":        {"3", 3},
		"without":              {"0", 0},
		"with a bad mark":      {"many", 0},
		"with none of it":      {"", 0},
		"with fewer than none": {"-3", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, w := newCluster(t, interceptor.Funcs{}, statefulSet("db", 0, func(s *appsv1.StatefulSet) {
				s.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoring: "undo", AnnotationReplicas: tc.mark}
			}))
			workload, saved := journalled(0), int32(0)
			if err := w.Stop(t.Context(), mine, workload, func() error { saved = workload.Replicas; return nil }); err != nil {
				t.Fatal(err)
			}
			if saved != tc.want {
				t.Errorf("saved %d replicas, want %d", saved, tc.want)
			}
			if _, err := w.Start(t.Context(), mine, workload); err != nil {
				t.Fatal(err)
			}
			want(t, c, tc.want, "", "")
		})
	}
}

// TestCustomKindsAreScaledThroughTheirScale has the scale as a server has it: with the UID and the version that were read.
func TestCustomKindsAreScaledThroughTheirScale(t *testing.T) {
	functions := scales("CloneSet", 4)
	var sent *unstructured.Unstructured
	functions.SubResourceUpdate = func(_ context.Context, _ client.Client, _ string, _ client.Object, options ...client.SubResourceUpdateOption) error {
		asked := (&client.SubResourceUpdateOptions{}).ApplyOptions(options)
		sent = asked.SubResourceBody.(*unstructured.Unstructured)
		return nil
	}
	_, w := newCluster(t, functions, custom("CloneSet", "web"))
	workload := &snapshotv1alpha1.StoppedWorkload{APIVersion: "example.com/v1", Kind: "CloneSet", Name: "web", UID: "uid-of-web", Replicas: 4}
	if err := w.Stop(t.Context(), mine, workload, saveNothing); err != nil {
		t.Fatal(err)
	}
	replicas, _, err := unstructured.NestedInt64(sent.Object, "spec", "replicas")
	if err != nil || replicas != 0 || sent.GetKind() != "Scale" || sent.GetUID() != "uid-of-web" || sent.GetResourceVersion() == "" {
		t.Errorf("the scale that is sent is %v", sent.Object)
	}
}

func TestNewNeedsAClient(t *testing.T) {
	if _, err := New(nil); err == nil {
		t.Error("made without a client")
	}
}
