// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/retention"
)

// claimOf is a claim that snapshots were taken of.
func claimOf(name string, uid types.UID) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimLost}}
}

// having gives a snapshot members that are ready.
func having(names ...string) func(*snapshotv1alpha1.ApplicationSnapshot) {
	return func(s *snapshotv1alpha1.ApplicationSnapshot) {
		s.Status.Members = nil
		for _, name := range names {
			s.Status.Members = append(s.Status.Members, snapshotv1alpha1.SnapshotMember{
				ClaimName: name, ClaimUID: types.UID("uid-" + name), State: snapshotv1alpha1.MemberReady,
			})
		}
	}
}

// lacking has a member that failed, as BestEffort lets it.
func lacking(name string) func(*snapshotv1alpha1.ApplicationSnapshot) {
	return func(s *snapshotv1alpha1.ApplicationSnapshot) {
		s.Status.Members = append(s.Status.Members, snapshotv1alpha1.SnapshotMember{
			ClaimName: name, ClaimUID: types.UID("uid-" + name), State: snapshotv1alpha1.MemberFailed,
		})
	}
}

func TestTheLastSnapshotOfAClaimStaysWhileThereIsTheClaim(t *testing.T) {
	data, log := claimOf("data", "uid-data"), claimOf("log", "uid-log")
	dropped := []client.Object{point(oldest, having("data", "log")), point(middle, having("data", "log")), point(newest, having("data"))}
	failed := []client.Object{point(oldest, having("data", "log")), point(middle, having("data", "log")), point(newest, having("data"), lacking("log"))}
	for name, tc := range map[string]struct {
		snapshots, claims []client.Object
		// forgets is that memory has no claim.
		forgets bool
		spared  bool
	}{
		"that dropped out":                            {snapshots: dropped, claims: []client.Object{data, log}, spared: true},
		"that could not be cut":                       {snapshots: failed, claims: []client.Object{data, log}, spared: true},
		"that memory has not":                         {snapshots: dropped, claims: []client.Object{data, log}, forgets: true, spared: true},
		"and not of one that is deleted":              {snapshots: dropped, claims: []client.Object{data}},
		"and not of one of that name that came after": {snapshots: dropped, claims: []client.Object{data, claimOf("log", "another")}},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			for _, list := range [][]client.Object{tc.snapshots, tc.claims} {
				for _, object := range list {
					objects = append(objects, object.DeepCopyObject().(client.Object))
				}
			}
			w := newWorld(t, keepOne, objects...)
			if tc.forgets {
				w.reconciler.Memory = forgetfulReader{w.client}
			}
			w.reconcile()
			want, kept := []string{"202604302300"}, []snapshotv1alpha1.KeptSnapshot(nil)
			if tc.spared {
				want = []string{"202604302200", "202604302300"}
				kept = []snapshotv1alpha1.KeptSnapshot{{Name: point(middle).Name, UID: point(middle).UID, Reason: retention.KeptOnlyOfClaim}}
			}
			wantNames(t, w, want...)
			if diff := cmp.Diff(kept, w.schedule().Status.Kept); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARestoreThatMemoryHasNotSparesItsSource(t *testing.T) {
	w := newWorld(t, keepOne, point(oldest), point(newest), restoreIn(""))
	w.reconciler.Memory = forgetfulReader{w.client}
	w.reconcile()
	wantNames(t, w, "202604302100", "202604302300")
}

func TestNothingIsDeletedWhileTheAPIServerDoesNotSayWhatIsRestored(t *testing.T) {
	w := newWorld(t, keepOne, point(oldest), point(newest))
	w.reconciler.Memory = forgetfulReader{w.client}
	w.listing = func(asked client.ObjectList) error {
		if _, ok := asked.(*snapshotv1alpha1.SnapshotRestoreList); ok {
			return errors.New("no answer")
		}
		return nil
	}
	if result := w.reconcile(); result.RequeueAfter != blockedRetry {
		t.Errorf("looked again after %s", result.RequeueAfter)
	}
	wantNames(t, w, "202604302100", "202604302300")
	w.wantCondition(retained, metav1.ConditionFalse, ReasonReferencesUnknown, "no answer")
}

// forgetfulReader has no restores and no claims yet.
type forgetfulReader struct{ client.Reader }

func (r forgetfulReader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch list.(type) {
	case *snapshotv1alpha1.SnapshotRestoreList, *corev1.PersistentVolumeClaimList:
		return nil
	default:
		return r.Reader.List(ctx, list, opts...)
	}
}
