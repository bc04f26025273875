// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"errors"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// reason is of a condition.
func (w *world) reason(kind string) string {
	if found := apimeta.FindStatusCondition(w.restore().Status.Conditions, kind); found != nil {
		return found.Reason
	}
	return ""
}

// member is a claim of the restore.
func (w *world) member(name string) *snapshotv1alpha1.RestoredClaim {
	w.t.Helper()
	found := w.restore()
	for i := range found.Status.Claims {
		if found.Status.Claims[i].Name == name {
			return &found.Status.Claims[i]
		}
	}
	w.t.Fatalf("the restore has no claim %s", name)
	return nil
}

// loseVolumeOf destroys the volume that was made for a claim.
func (w *world) loseVolumeOf(name string) {
	w.t.Helper()
	w.must(w.api.Delete(w.t.Context(), w.volume(w.member(name).NewVolume)))
}

// refuseTo has the API server fail at what the reconciler does to an object of that name.
func (w *world) refuseTo(verb, name string) {
	w.refuse = func(does string, object client.Object) error {
		if does == verb && object.GetName() == name {
			return errors.New("not yet")
		}
		return nil
	}
}

// lookOnce reconciles once, without the controllers.
func (w *world) lookOnce(what string) {
	w.t.Helper()
	if _, err := w.look("undo"); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// says checks the message of the restore.
func (w *world) says(want string) {
	w.t.Helper()
	if got := w.restore().Status.Message; !strings.Contains(got, want) {
		w.t.Errorf("the message is %q, want %q in it", got, want)
	}
}
