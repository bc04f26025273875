// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// counting is an API server with one snapshot that counts the writes of its status.
func counting(t *testing.T) (client.Client, *snapshotv1alpha1.ApplicationSnapshot, *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := snapshotv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	writes := 0
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "nightly"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(snapshot).WithStatusSubresource(snapshot).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, resource string, object client.Object, options ...client.SubResourceUpdateOption) error {
			writes++
			return c.SubResource(resource).Update(ctx, object, options...)
		},
	}).Build()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(snapshot), snapshot); err != nil {
		t.Fatal(err)
	}
	return c, snapshot, &writes
}

func TestSaveWritesWhatChanged(t *testing.T) {
	c, snapshot, writes := counting(t)
	j := Open(c, snapshot)
	for _, step := range []struct {
		phase snapshotv1alpha1.Phase
		want  int
	}{{"", 0}, {snapshotv1alpha1.PhasePending, 1}, {snapshotv1alpha1.PhasePending, 1}, {snapshotv1alpha1.PhaseCutting, 2}} {
		j.Object.Status.Phase = step.phase
		if err := j.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		if *writes != step.want {
			t.Errorf("phase %q: %d writes, want %d", step.phase, *writes, step.want)
		}
	}
	if snapshot.Status.Phase != "" {
		t.Error("what was read has changed")
	}
}

// Whoever has seen less than the API server knows must not act.
func TestSaveConflicts(t *testing.T) {
	c, snapshot, _ := counting(t)
	first, second := Open(c, snapshot), Open(c, snapshot)
	first.Object.Status.Message = "first"
	if err := first.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.Object.Status.Message = "second"
	if err := second.Save(t.Context()); !apierrors.IsConflict(err) {
		t.Errorf("error = %v, want a conflict", err)
	}
	if second.Before().Status.Message != "" {
		t.Error("what was refused counts as written")
	}
}

// Somebody else's annotation must not end what cannot be begun again.
func TestSaveAndWhatSomebodyElseWrote(t *testing.T) {
	label := func(o *snapshotv1alpha1.ApplicationSnapshot) { o.Labels = map[string]string{"somebody": "else"} }
	share := func(o *snapshotv1alpha1.ApplicationSnapshot) {
		o.Generation, o.Spec.AllowedNamespaces = o.Generation+1, []string{"test"}
	}
	for name, tc := range map[string]struct {
		change  func(*snapshotv1alpha1.ApplicationSnapshot)
		anySpec bool
		saved   bool
	}{
		"metadata":                             {change: label, saved: true},
		"the spec":                             {change: share},
		"the spec, which decides nothing":      {change: share, anySpec: true, saved: true},
		"that it is to go":                     {},
		"that it is to go, and any spec is ok": {anySpec: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, snapshot, _ := counting(t)
			snapshot.Finalizers = []string{"test/keep"}
			must(t, c.Update(t.Context(), snapshot))
			j := Open(c, snapshot)
			j.AnySpec = tc.anySpec
			if tc.change == nil {
				must(t, c.Delete(t.Context(), snapshot))
			} else {
				tc.change(snapshot)
				must(t, c.Update(t.Context(), snapshot))
			}
			object := j.Object
			object.Status.Message = "saved"
			err := j.Save(t.Context())
			live := &snapshotv1alpha1.ApplicationSnapshot{}
			must(t, c.Get(t.Context(), client.ObjectKeyFromObject(snapshot), live))
			if saved := live.Status.Message != ""; saved != tc.saved || saved != (err == nil) || !saved && !apierrors.IsConflict(err) {
				t.Fatalf("saved is %t, error = %v; want saved = %t, else a conflict", saved, err, tc.saved)
			}
			if tc.saved {
				wantWritten(t, j, object, live, snapshot.Labels)
			}
		})
	}
}

// wantWritten wants the object to be what the API server has, with what somebody else wrote, and to be saved again.
func wantWritten(t *testing.T, j *Journal[*snapshotv1alpha1.ApplicationSnapshot], object, live *snapshotv1alpha1.ApplicationSnapshot, labels map[string]string) {
	t.Helper()
	if diff := cmp.Diff(live, object); diff != "" || object != j.Object {
		t.Errorf("object, which is to be as it was written (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(labels, live.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	object.Status.Message = "again"
	must(t, j.Save(t.Context()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
