// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// scenario is a restore from its beginning to its end.
type scenario struct {
	begin func(*testing.T) *world
	// act is what happens after the restore is at rest.
	act    func(*world)
	verify func(*world)
}

func completed(names ...string) func(*world) {
	return func(w *world) {
		w.t.Helper()
		object := w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
		w.wantClaims(names...)
		for _, claim := range object.Status.Claims {
			if claim.UID != w.claims()[claim.Name].UID || w.filled[claim.Name] != "handle-"+claim.From {
				w.t.Errorf("%s is filled from %q, and its journal is %+v", claim.Name, w.filled[claim.Name], claim)
			}
		}
	}
}

// consumed has all claims get their first pod.
func consumed(w *world) {
	w.consumers["data-copy"], w.consumers["log-copy"] = true, true
}

func scenarios() map[string]scenario {
	failed := func(w *world) {
		w.t.Helper()
		w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonDeadlineExceeded)
		w.wantClaims()
	}
	gone := func(w *world) {
		w.t.Helper()
		if object := w.restore(); object != nil {
			w.t.Errorf("the restore is still there: %+v", object.Status)
		}
		w.wantClaims()
	}
	late := func(w *world) { w.clock.Step(time.Hour) }
	away := func(w *world) { w.must(w.raw.Delete(w.t.Context(), w.restore())) }
	return map[string]scenario{
		"in one namespace":   {begin: func(t *testing.T) *world { return begin(t, nil) }, verify: completed("data-copy", "log-copy")},
		"from another":       {begin: func(t *testing.T) *world { return abroad(t, nil) }, verify: completed("data-copy", "log-copy")},
		"from another, lazy": {begin: func(t *testing.T) *world { return abroad(t, lazily) }, act: consumed, verify: completed("data-copy", "log-copy")},
		"a quota": {begin: func(t *testing.T) *world {
			w := begin(t, nil)
			w.quota = 1
			return w
		}, act: late, verify: failed},
		"a quota, from another": {begin: func(t *testing.T) *world {
			w := abroad(t, nil)
			w.quota = 1
			return w
		}, act: late, verify: failed},
		"deleted midway": {begin: func(t *testing.T) *world {
			w := begin(t, nil)
			w.idle = true
			return w
		}, act: away, verify: gone},
		"deleted midway, from another": {begin: func(t *testing.T) *world {
			w := abroad(t, nil)
			w.idle = true
			return w
		}, act: away, verify: gone},
	}
}

// TestCrashAtEveryWrite lets the reconciler die before and after each of its writes, and a new one go on.
func TestCrashAtEveryWrite(t *testing.T) {
	for name, tc := range scenarios() {
		for _, lands := range []bool{false, true} {
			for crashAt, died := 1, true; died; crashAt++ {
				t.Run(fmt.Sprintf("%s, at write %d, which lands: %t", name, crashAt, lands), func(t *testing.T) {
					w := tc.begin(t)
					w.crashAt, w.lands = crashAt, lands
					w.play()
					if tc.act != nil {
						tc.act(w)
						w.play()
					}
					died = len(w.log) >= crashAt
					tc.verify(w)
					w.wantEnd()
				})
			}
		}
	}
}

// wantEnd fails unless nothing is left that a restore that is over leaves behind.
func (w *world) wantEnd() {
	w.t.Helper()
	if object := w.restore(); object != nil && len(object.Finalizers) > 0 {
		w.t.Errorf("finalizers %v; status %+v", object.Finalizers, object.Status)
	}
	if copies := w.copies(); len(copies) > 0 {
		w.t.Errorf("copies %v", copies)
	}
	if len(w.limits.held) > 0 {
		w.t.Errorf("places %v", w.limits.held)
	}
	w.wantSource()
	for name, claim := range w.claims() {
		if claim.Status.Phase != corev1.ClaimBound {
			w.t.Errorf("%s is %s", name, claim.Status.Phase)
		}
	}
}
