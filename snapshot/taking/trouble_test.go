// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/snapshot/limits"
	"roost.dev/roost/snapshot/preflight"
	"roost.dev/roost/snapshot/snapshottest"
)

// Who pins a snapshot in the seconds of its cut must not end it, as it is not frozen again.
func TestAChangeByAPersonInTheFreeze(t *testing.T) {
	for name, change := range map[string]func(*snapshotv1alpha1.ApplicationSnapshot){
		"it is pinned": func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Annotations = map[string]string{snapshotv1alpha1.AnnotationPinned: "true"}
		},
		"another namespace may restore it": func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Generation, s.Spec.AllowedNamespaces = 2, []string{"test"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.take(withHooks)
			changed := false
			w.process.Fail = func(write string) error {
				if w.pods.frozen && !changed && strings.HasPrefix(write, "create VolumeSnapshot") {
					changed = true
					snapshot := w.get()
					change(snapshot)
					w.must(w.api.Update(t.Context(), snapshot))
				}
				return nil
			}
			w.pass(15 * time.Second)
			snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
			if !changed || snapshot.Status.Consistency != snapshotv1alpha1.ConsistencyApplication || w.pods.freezes != 1 {
				t.Errorf("changed is %t, consistency %s, %d freezes", changed, snapshot.Status.Consistency, w.pods.freezes)
			}
			if snapshot.Annotations == nil && snapshot.Spec.AllowedNamespaces == nil {
				t.Error("the change is lost")
			}
		})
	}
}

// hanging is an API server that does not answer to the creation of VolumeSnapshots, for as long as the caller waits.
type hanging struct {
	client.Client
	w    *world
	hung bool
}

func (h *hanging) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if _, ok := object.(*snapshotv1.VolumeSnapshot); !ok {
		return h.Client.Create(ctx, object, options...)
	}
	end, ok := ctx.Deadline()
	if !ok {
		h.w.t.Fatal("a creation has no end while the application is frozen")
	}
	if !h.hung {
		h.hung = true
		h.w.clock.Pass(time.Until(end))
	}
	return context.DeadlineExceeded
}

func TestAnAPIServerThatHangsInTheFreeze(t *testing.T) {
	w := newWorld(t)
	w.take(withHooks)
	r, err := New(Options{
		Client: &hanging{Client: w.process, w: w}, Memory: w.api, Recorder: w.recorder, Clock: w.clock, Gate: w.gate, Metrics: NewMetrics(),
		Hooks: &fakeHooks{w: w, process: w.process},
	})
	w.must(err)
	w.r = r
	w.pass(time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonCutDeadline)
	if held := w.pods.thawedAt.Sub(start); w.pods.frozen || held > 12*time.Second {
		t.Errorf("frozen is %t, for %s; want at most maxFreeze", w.pods.frozen, held)
	}
}

// What comes between the plan and the freeze is not frozen.
func TestMaxFreezeCountsFromTheFreeze(t *testing.T) {
	w := newWorld(t)
	w.take(withHooks)
	w.process.Fail = func(write string) error {
		if strings.HasPrefix(write, "patch ApplicationSnapshot") && w.pods.freezes == 0 {
			w.clock.Pass(10 * time.Second)
		}
		return nil
	}
	w.pass(25 * time.Second)
	snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	freeze := snapshot.Status.Freeze
	if began := freeze.StartTime.Sub(start); began < 10*time.Second || freeze.Deadline.Sub(freeze.StartTime.Time) != 12*time.Second || !strings.HasPrefix(freeze.RunID, string(snapshot.UID)) {
		t.Errorf("the freeze %s began after %s and may last until %s", freeze.RunID, began, freeze.Deadline)
	}
}

func invalid() error {
	return apierrors.NewInvalid(snapshotv1alpha1.GroupVersion.WithKind("ApplicationSnapshot").GroupKind(), "nightly", nil)
}

// Else it would hold its place for ever.
func TestAStatusThatIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		times  int
		phase  snapshotv1alpha1.Phase
	}{
		"once":           {answer: invalid(), times: 1, phase: snapshotv1alpha1.PhaseFailed},
		"always":         {answer: invalid(), times: 1000},
		"for its size":   {answer: errors.New("etcdserver: request is too large"), times: 1, phase: snapshotv1alpha1.PhaseFailed},
		"for the moment": {answer: apierrors.NewTooManyRequests("later", 1), times: 1, phase: snapshotv1alpha1.PhaseReady},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.take(nil)
			refused := 0
			w.process.Fail = func(write string) error {
				if strings.HasPrefix(write, "update status") && refused < tc.times {
					refused++
					return tc.answer
				}
				return nil
			}
			w.pass(15 * time.Second)
			if inFlight := w.gate.InFlight(); len(inFlight) > 0 {
				t.Errorf("in flight: %v, want nothing", inFlight)
			}
			if got := w.get().Status.Phase; got != tc.phase {
				t.Errorf("phase is %q, want %q", got, tc.phase)
			}
			if tc.phase == snapshotv1alpha1.PhaseFailed {
				w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonStatusRefused)
			}
		})
	}
}

func TestAStatusThatIsRefusedEndsNothingThatIsReady(t *testing.T) {
	w := newWorld(t)
	w.controller.Scripts["b"] = snapshottest.Script{Unready: 10 * time.Second}
	w.take(nil)
	w.pass(8 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	w.process.Fail = func(string) error { return invalid() }
	w.pass(8 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	if made := w.made(); len(made) != 2 {
		t.Errorf("%d VolumeSnapshots are left, want two", len(made))
	}
}

// crowded is a world where it is nobody's turn.
func crowded(t *testing.T) (w *world, leave func()) {
	t.Helper()
	w = newWorld(t)
	w.gate = limits.New(limits.Limits{PerDriver: 2, PerNamespace: 2, Cluster: 2}, w.noteWake)
	w.r = w.newReconciler(w.api)
	other := request.NamespacedName
	other.Name = "other"
	w.gate.Enter(other, map[string]int{driver: 2})
	return w, func() { w.gate.Leave(other) }
}

// The application is down for it.
func TestARestoresOwnSnapshotWaitsForNobody(t *testing.T) {
	w, _ := crowded(t)
	snapshot := w.take(nil)
	snapshot.Labels = map[string]string{snapshotv1alpha1.LabelRestore: "uid-of-a-restore"}
	w.must(w.api.Update(t.Context(), snapshot))
	w.pass(15 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
}

// Who waits for its turn for longer than a cut may take has still all the time for what then stands in the way.
func TestTheQueueTakesNoTimeFromTheDeadline(t *testing.T) {
	w, leave := crowded(t)
	w.take(nil)
	w.pass(40 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhasePending, ReasonWaiting)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "b"}}
	w.must(w.api.Delete(t.Context(), claim))
	leave()
	w.pass(15 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhasePending, preflight.ReasonClaimNotFound)
	w.pass(10 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseFailed, preflight.ReasonClaimNotFound)
}

// An API server that cannot be asked says nothing of the hooks.
func TestANetworkThatIsDownIsNotTheHooks(t *testing.T) {
	w := newWorld(t)
	w.pods.planFails = errors.New("listing pods: dial tcp 10.0.0.1:443: connect: connection refused")
	w.take(withHooks)
	for range 30 {
		if _, err := w.reconcile(); err == nil {
			t.Fatal("no error")
		}
		w.clock.Pass(time.Second)
	}
	if got := w.get().Status.Phase; got != "" {
		t.Errorf("phase is %s (%s), want none", got, w.get().Status.Message)
	}
	w.pods.planFails = nil
	w.pass(15 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
}
