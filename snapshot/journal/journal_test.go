// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"testing"

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
