// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func restoreIn(namespace string) *snapshotv1alpha1.SnapshotRestore {
	return &snapshotv1alpha1.SnapshotRestore{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "back", UID: "restore-uid"},
		Spec:       snapshotv1alpha1.SnapshotRestoreSpec{Source: snapshotv1alpha1.SnapshotSource{Name: "db", Namespace: "prod"}},
	}
}

func TestSnapshot(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(*snapshotv1alpha1.ApplicationSnapshot)
		pinned types.UID
		reason string
		final  bool
	}{
		"ready":                     {spoil: func(*snapshotv1alpha1.ApplicationSnapshot) {}},
		"ready, and the pinned one": {spoil: func(*snapshotv1alpha1.ApplicationSnapshot) {}, pinned: "app-uid"},
		"another one of that name": {
			spoil: func(*snapshotv1alpha1.ApplicationSnapshot) {}, pinned: "former-uid", reason: ReasonSourceGone, final: true,
		},
		"gone since the restore began": {
			spoil:  func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Name = "other" },
			pinned: "app-uid", reason: ReasonSourceGone, final: true,
		},
		"not there yet": {spoil: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Name = "other" }, reason: ReasonSourceMissing},
		"uploading": {
			spoil: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhaseUploading }, reason: ReasonSourceNotReady,
		},
		"failed": {
			spoil: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhaseFailed }, reason: ReasonSourceFailed, final: true,
		},
		"being deleted": {spoil: func(s *snapshotv1alpha1.ApplicationSnapshot) { deleted(s) }, reason: ReasonSourceGone, final: true},
	} {
		t.Run(name, func(t *testing.T) {
			o, restore := healthy(), restoreIn("prod")
			tc.spoil(o.app)
			restore.Status.SourceUID = tc.pinned
			source := Source{Client: o.client(t)}
			snapshot, err := source.Snapshot(t.Context(), restore)
			wantProblem(t, err, tc.reason, tc.final)
			if (err == nil) != (snapshot != nil) {
				t.Errorf("snapshot is %v beside the error %v", snapshot, err)
			}
		})
	}
}

// grantFor is a ReferenceGrant in a namespace.
func grantFor(namespace string, from, to map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
		"metadata": map[string]any{"namespace": namespace, "name": "grant"},
		"spec":     map[string]any{"from": []any{from}, "to": []any{to}},
	}}
}

func TestConsentOfAnotherNamespace(t *testing.T) {
	from := func(kind, namespace string) map[string]any {
		return map[string]any{"group": "snapshot.roost.dev", "kind": kind, "namespace": namespace}
	}
	to := func(kind string, name ...any) map[string]any {
		granted := map[string]any{"group": "snapshot.roost.dev", "kind": kind}
		if len(name) > 0 {
			granted["name"] = name[0]
		}
		return granted
	}
	for name, tc := range map[string]struct {
		allowed []string
		grant   *unstructured.Unstructured
		missing bool
		want    string
	}{
		"nobody asked":                   {want: ReasonSourceNotAllowed},
		"the namespace is named":         {allowed: []string{"other", "test"}},
		"every namespace is":             {allowed: []string{"*"}},
		"another namespace is":           {allowed: []string{"tests"}, want: ReasonSourceNotAllowed},
		"a grant for all snapshots":      {grant: grantFor("prod", from("SnapshotRestore", "test"), to("ApplicationSnapshot"))},
		"a grant for this snapshot":      {grant: grantFor("prod", from("SnapshotRestore", "test"), to("ApplicationSnapshot", "db"))},
		"a grant for another snapshot":   {grant: grantFor("prod", from("SnapshotRestore", "test"), to("ApplicationSnapshot", "web")), want: ReasonSourceNotAllowed},
		"a grant to another namespace":   {grant: grantFor("prod", from("SnapshotRestore", "dev"), to("ApplicationSnapshot")), want: ReasonSourceNotAllowed},
		"a grant to another kind":        {grant: grantFor("prod", from("HTTPRoute", "test"), to("ApplicationSnapshot")), want: ReasonSourceNotAllowed},
		"a grant for another kind":       {grant: grantFor("prod", from("SnapshotRestore", "test"), to("Secret")), want: ReasonSourceNotAllowed},
		"a grant that we gave ourselves": {grant: grantFor("test", from("SnapshotRestore", "test"), to("ApplicationSnapshot")), want: ReasonSourceNotAllowed},
		"a grant for what is not there":  {missing: true, grant: grantFor("prod", from("SnapshotRestore", "test"), to("ApplicationSnapshot")), want: ReasonSourceMissing},
		"nothing is there, and no grant": {missing: true, want: ReasonSourceNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			o.app.Spec.AllowedNamespaces = tc.allowed
			if tc.missing {
				o.app.Name = "other"
			}
			var more []client.Object
			if tc.grant != nil {
				more = append(more, tc.grant)
			}
			source := Source{Client: o.client(t, more...)}
			_, err := source.Snapshot(t.Context(), restoreIn("test"))
			wantProblem(t, err, tc.want, false)
		})
	}
}

func TestWhatANamespaceDoesNotAllowCannotBeFoundOut(t *testing.T) {
	messages := map[string]bool{}
	for _, name := range []string{"db", "other"} {
		o := healthy()
		o.app.Name = name
		source := Source{Client: o.client(t)}
		_, err := source.Snapshot(t.Context(), restoreIn("test"))
		messages[err.Error()] = true
	}
	if len(messages) != 1 {
		t.Errorf("a snapshot that exists is told from one that does not: %v", messages)
	}
}

func TestNeedsSource(t *testing.T) {
	claims := func(claim snapshotv1alpha1.RestoredClaim) []snapshotv1alpha1.RestoredClaim {
		return []snapshotv1alpha1.RestoredClaim{{State: snapshotv1alpha1.ClaimRestored, NewVolume: "pv"}, claim}
	}
	for name, tc := range map[string]struct {
		phase  snapshotv1alpha1.RestorePhase
		claims []snapshotv1alpha1.RestoredClaim
		want   bool
	}{
		"has not begun":                    {want: true},
		"waits":                            {phase: snapshotv1alpha1.RestorePending, want: true},
		"is under way":                     {phase: snapshotv1alpha1.RestorePopulating, want: true},
		"completed, all filled":            {phase: snapshotv1alpha1.RestoreCompleted, claims: claims(snapshotv1alpha1.RestoredClaim{State: snapshotv1alpha1.ClaimRestored, NewVolume: "pv"})},
		"completed, one waits for its pod": {phase: snapshotv1alpha1.RestoreCompleted, claims: claims(snapshotv1alpha1.RestoredClaim{State: snapshotv1alpha1.ClaimRestored}), want: true},
		"completed, one was deleted":       {phase: snapshotv1alpha1.RestoreCompleted, claims: claims(snapshotv1alpha1.RestoredClaim{State: snapshotv1alpha1.ClaimFailed})},
		"failed":                           {phase: snapshotv1alpha1.RestoreFailed, claims: []snapshotv1alpha1.RestoredClaim{{State: snapshotv1alpha1.ClaimFailed}}},
	} {
		t.Run(name, func(t *testing.T) {
			restore := restoreIn("test")
			restore.Spec.NewClaims = &snapshotv1alpha1.NewClaims{Suffix: "-copy"}
			restore.Status.Phase, restore.Status.Claims = tc.phase, tc.claims
			if got := NeedsSource(restore); got != tc.want {
				t.Errorf("NeedsSource is %t, want %t", got, tc.want)
			}
		})
	}
}
