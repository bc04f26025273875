// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/snapshot/cuts"
	"roost.dev/roost/snapshot/limits"
	"roost.dev/roost/snapshot/preflight"
	"roost.dev/roost/snapshot/snapshottest"
)

// fate is what a script of claim b makes of a snapshot of a and b.
type fate struct {
	script snapshottest.Script
	change func(*snapshotv1alpha1.ApplicationSnapshotSpec)
	phase  snapshotv1alpha1.Phase
	reason string
	says   string
	left   int
	events []string
}

var fates = map[string]fate{
	"never bound": {
		script: snapshottest.Script{Bind: snapshottest.Never},
		phase:  snapshotv1alpha1.PhaseFailed, reason: ReasonCutDeadline, says: "claim b: not cut within 20s", events: []string{EventFailed},
	},
	"bound to a content that is another's": {
		script: snapshottest.Script{ForeignContent: true},
		phase:  snapshotv1alpha1.PhaseFailed, reason: ReasonCutDeadline, says: "bound to another VolumeSnapshot", events: []string{EventFailed},
	},
	"bound late": {
		script: snapshottest.Script{Bind: 15 * time.Second, Cut: 15 * time.Second, Ready: 18 * time.Second},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 2, events: []string{EventCut, EventReady},
	},
	"ready late": {
		script: snapshottest.Script{Ready: 50 * time.Second},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 2, events: []string{EventCut, EventReady},
	},
	"ready too late": {
		script: snapshottest.Script{Ready: 70 * time.Second},
		phase:  snapshotv1alpha1.PhaseFailed, reason: ReasonReadyDeadline, says: "claim b: cannot be restored within 1m0s", events: []string{EventCut, EventFailed},
	},
	"an error to the end": {
		script: snapshottest.Script{Cut: snapshottest.Never, Error: "pool is full"},
		phase:  snapshotv1alpha1.PhaseFailed, reason: ReasonCutDeadline, says: "claim b: pool is full", events: []string{EventFailed},
	},
	"an error that goes": {
		script: snapshottest.Script{Cut: 6 * time.Second, Ready: 9 * time.Second, Error: "pool is busy"},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 2, events: []string{EventCut, EventReady},
	},
	"an error that stays beside ready": {
		script: snapshottest.Script{Ready: 3 * time.Second, Error: "pool was busy", ErrorStays: true},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 2, events: []string{EventCut, EventReady},
	},
	"no size": {
		script: snapshottest.Script{RestoreSize: ptr.To(resource.MustParse("0"))},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 2, events: []string{EventCut, EventReady},
	},
	"gone before it is cut": {
		script: snapshottest.Script{Cut: snapshottest.Never, Vanish: 4 * time.Second},
		phase:  snapshotv1alpha1.PhaseFailed, reason: ReasonMemberFailed, says: "was deleted", events: []string{EventFailed},
	},
	"gone before it is ready": {
		script: snapshottest.Script{Ready: snapshottest.Never, Vanish: 4 * time.Second},
		phase:  snapshotv1alpha1.PhaseFailed, reason: ReasonMemberFailed, says: "was deleted", events: []string{EventCut, EventFailed},
	},
	"gone after it was ready": {
		script: snapshottest.Script{Vanish: 10 * time.Second},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonMemberLost, says: "was deleted", left: 1, events: []string{EventCut, EventReady, EventLost},
	},
	"no longer ready": {
		script: snapshottest.Script{Unready: 10 * time.Second},
		phase:  snapshotv1alpha1.PhaseReady, reason: ReasonMemberLost, says: "claim b: lost", left: 2, events: []string{EventCut, EventReady, EventLost},
	},
	"never cut, each by itself": {
		script: snapshottest.Script{Cut: snapshottest.Never, Error: "pool is full"}, change: mode(snapshotv1alpha1.ModeBestEffort),
		phase: snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 1, events: []string{EventCut, EventReady},
	},
	"never ready, each by itself": {
		script: snapshottest.Script{Ready: snapshottest.Never}, change: mode(snapshotv1alpha1.ModeBestEffort),
		phase: snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 1, events: []string{EventCut, EventReady},
	},
	"gone after it was ready, each by itself": {
		script: snapshottest.Script{Vanish: 10 * time.Second}, change: mode(snapshotv1alpha1.ModeBestEffort),
		phase: snapshotv1alpha1.PhaseReady, reason: ReasonReady, left: 1, events: []string{EventCut, EventReady},
	},
}

func TestWhatBecomesOfASnapshot(t *testing.T) {
	for name, tc := range fates {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.controller.Scripts["b"] = tc.script
			w.take(tc.change)
			w.pass(75 * time.Second)
			snapshot := w.wantPhase(tc.phase, tc.reason)
			if !strings.Contains(snapshot.Status.Message, tc.says) {
				t.Errorf("message is %q, want %q in it", snapshot.Status.Message, tc.says)
			}
			if made := w.made(); len(made) != tc.left {
				t.Errorf("%d VolumeSnapshots are left, want %d", len(made), tc.left)
			}
			if n := w.creations(); n != 2 {
				t.Errorf("%d were made, want two: nothing is made again", n)
			}
			w.wantEvents(tc.events...)
			w.wantComplete(tc.left == 2 && tc.reason == ReasonReady)
			for i := range snapshot.Status.Members {
				if member := &snapshot.Status.Members[i]; isReady(member) && (member.Message != "" || member.RestoreSize != nil) {
					t.Errorf("ready member %s says %q and has size %v, want neither", member.ClaimName, member.Message, member.RestoreSize)
				}
			}
		})
	}
}

func TestWhatBecomesOfAGroup(t *testing.T) {
	const sec = time.Second
	for name, tc := range map[string]struct {
		script snapshottest.Script
		phase  snapshotv1alpha1.Phase
		reason string
		says   string
	}{
		"ready late":           {snapshottest.Script{Cut: 3 * sec, Ready: 30 * sec}, snapshotv1alpha1.PhaseReady, ReasonReady, "2 of 2"},
		"an error to the end":  {snapshottest.Script{Cut: snapshottest.Never, Error: "pool is full"}, snapshotv1alpha1.PhaseFailed, ReasonCutDeadline, "pool is full"},
		"never ready":          {snapshottest.Script{Ready: snapshottest.Never}, snapshotv1alpha1.PhaseFailed, ReasonReadyDeadline, "cannot be restored"},
		"deleted":              {snapshottest.Script{Cut: snapshottest.Never, Vanish: 4 * sec}, snapshotv1alpha1.PhaseFailed, ReasonMemberFailed, "was deleted"},
		"a claim left out":     {snapshottest.Script{Omit: []string{"b"}}, snapshotv1alpha1.PhaseFailed, ReasonMemberFailed, "claim b: VolumeGroupSnapshot"},
		"deleted once ready":   {snapshottest.Script{Vanish: 20 * sec}, snapshotv1alpha1.PhaseReady, ReasonMemberLost, "was deleted"},
		"parts without a name": {snapshottest.Script{Nameless: true}, snapshotv1alpha1.PhaseReady, ReasonReady, "2 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.controller.Scripts[""] = tc.script
			w.take(mode(snapshotv1alpha1.ModeGroup))
			w.pass(75 * sec)
			snapshot := w.wantPhase(tc.phase, tc.reason)
			if !strings.Contains(snapshot.Status.Message, tc.says) {
				t.Errorf("message is %q, want %q in it", snapshot.Status.Message, tc.says)
			}
			if n := w.creations(); n != 1 {
				t.Errorf("%d groups made, want one", n)
			}
			w.wantUntouched()
			if tc.phase == snapshotv1alpha1.PhaseFailed {
				w.wantNothingLeft()
			}
		})
	}
}

func (w *world) wantComplete(want bool) {
	w.t.Helper()
	snapshot := w.get()
	complete := meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionComplete)
	if complete == nil || (complete.Status == metav1.ConditionTrue) != want {
		w.t.Errorf("condition Complete is %+v, want %t", complete, want)
	}
	for _, condition := range snapshot.Status.Conditions {
		if condition.ObservedGeneration != snapshot.Generation {
			w.t.Errorf("condition %s is of generation %d, want %d", condition.Type, condition.ObservedGeneration, snapshot.Generation)
		}
	}
}

func TestMembersHaveWhatARestoreNeeds(t *testing.T) {
	w := newWorld(t)
	size := resource.MustParse("3Gi")
	w.controller.Default.RestoreSize = &size
	w.take(nil)
	w.pass(10 * time.Second)
	member := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady).Status.Members[0]
	if member.ClaimUID != "a" || member.Driver != driver || member.VolumeSnapshotClassName != classGold || member.StorageClassName != "fast" ||
		member.Capacity.String() != "1Gi" || member.RestoreSize.String() != "3Gi" || member.VolumeSnapshotUID == "" ||
		member.VolumeMode != corev1.PersistentVolumeFilesystem || len(member.AccessModes) != 1 || member.CutTime == nil {
		t.Errorf("member is %+v", member)
	}
}

func TestNothingIsWrittenWithoutAChange(t *testing.T) {
	w := newWorld(t)
	w.controller.Default.Cut, w.controller.Default.Ready = 8*time.Second, 20*time.Second
	w.take(nil)
	for _, at := range []struct {
		phase  snapshotv1alpha1.Phase
		reason string
		pass   time.Duration
	}{
		{snapshotv1alpha1.PhaseCutting, ReasonCutting, 3 * time.Second},
		{snapshotv1alpha1.PhaseUploading, ReasonUploading, 8 * time.Second},
		{snapshotv1alpha1.PhaseReady, ReasonReady, 15 * time.Second},
	} {
		w.pass(at.pass)
		w.wantPhase(at.phase, at.reason)
		before := len(w.process.Writes)
		w.pass(3 * time.Second)
		if more := w.process.Writes[before:]; len(more) > 0 {
			t.Errorf("in phase %s nothing changed and this was written: %q", at.phase, more)
		}
	}
	reads := w.process.Reads
	w.pass(20 * time.Second)
	if w.process.Reads > reads {
		t.Errorf("a snapshot at rest reads the API server %d times, want never", w.process.Reads-reads)
	}
}

func TestCallsOfOneSnapshot(t *testing.T) {
	w := newWorld(t)
	w.take(func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.ClaimNames = []string{"a"} })
	w.pass(20 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	if len(w.process.Writes) > 5 || w.process.Reads > 3 {
		t.Errorf("%d reads and %d writes, want at most 3 and 5: %q", w.process.Reads, len(w.process.Writes), w.process.Writes)
	}
}

func TestWhatStandsInTheWay(t *testing.T) {
	selector := func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
		spec.ClaimNames, spec.Selector = nil, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}
	}
	quota := func() client.Object {
		return &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "small"},
			Status:     corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{"count/volumesnapshots.snapshot.storage.k8s.io": resource.MustParse("1")}},
		}
	}
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.ApplicationSnapshotSpec)
		object client.Object
		reason string
	}{
		"a selector that takes nothing": {change: selector, reason: preflight.ReasonNoMatchingPVCs},
		"a quota without room":          {object: quota(), reason: preflight.ReasonQuotaExceeded},
		"a claim that is missing": {
			change: func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.ClaimNames = []string{"a", "c"} },
			reason: preflight.ReasonClaimNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			if tc.object != nil {
				objects = append(objects, tc.object)
			}
			w := newWorld(t, objects...)
			w.take(tc.change)
			w.pass(10 * time.Second)
			w.wantPhase(snapshotv1alpha1.PhasePending, tc.reason)
			if result, err := w.reconcile(); err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > retryLast {
				t.Errorf("it is looked at again after %s (%v), want between 0 and %s", result.RequeueAfter, err, retryLast)
			}
			if len(w.process.Writes) != 1 {
				t.Errorf("written while nothing changed: %q", w.process.Writes)
			}
			w.wantEvents(EventPending)
			w.pass(20 * time.Second)
			w.wantPhase(snapshotv1alpha1.PhaseFailed, tc.reason)
			w.wantEvents(EventPending, EventFailed)
			if w.creations() > 0 {
				t.Errorf("made all the same: %q", w.process.Writes)
			}
		})
	}
}

func TestNamespaceThatIsDeleted(t *testing.T) {
	w := newWorld(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: builders.Namespace}}
	if err := w.api.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	w.take(nil)
	w.pass(10 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonNamespaceTerminating)
	if len(w.process.Writes) != 1 {
		t.Errorf("writes are %q, want one status", w.process.Writes)
	}
}

// refusal is what a ResourceQuota says that was used up since it was looked at.
func refusal(name string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "volumesnapshots"}, name, errors.New("exceeded quota: small"))
}

func TestQuotaThatRefusesTheSecond(t *testing.T) {
	refused := func(w *world, until time.Duration) {
		w.process.Fail = func(write string) error {
			if strings.HasPrefix(write, "create VolumeSnapshot nightly-b") && w.clock.Since(start) < until {
				return refusal("nightly-b")
			}
			return nil
		}
	}
	t.Run("and has room later", func(t *testing.T) {
		w := newWorld(t)
		refused(w, 8*time.Second)
		w.take(nil)
		w.pass(5 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseCutting, preflight.ReasonQuotaExceeded)
		w.pass(15 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
		w.wantEvents(EventPending, EventCut, EventReady)
	})
	t.Run("and never has room", func(t *testing.T) {
		w := newWorld(t)
		refused(w, time.Hour)
		w.take(nil)
		w.pass(30 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonCutDeadline)
		w.wantNothingLeft()
	})
	t.Run("while the application is frozen", func(t *testing.T) {
		w := newWorld(t)
		refused(w, time.Hour)
		w.take(withHooks)
		w.pass(5 * time.Second)
		w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonMemberFailed)
		if w.pods.thawedAt.Sub(start) > 3*time.Second {
			t.Errorf("frozen until %s, want a thaw at once", w.pods.thawedAt)
		}
		w.pass(2 * time.Second)
		w.wantNothingLeft()
	})
}

func TestTurnsAreWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.gate = limits.New(limits.Limits{PerDriver: 2, PerNamespace: 2, Cluster: 2}, w.noteWake)
	w.r = w.newReconciler(w.api)
	other := request.NamespacedName
	other.Name = "other"
	w.gate.Enter(other, map[string]int{driver: 1})
	w.take(nil)
	w.pass(40 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhasePending, ReasonWaiting)
	if len(w.process.Writes) != 1 || w.process.Reads != 3 {
		t.Errorf("while it waits there are %d reads and the writes %q, want three of the first look and one", w.process.Reads, w.process.Writes)
	}
	w.gate.Leave(other)
	if len(w.woken) != 1 || w.woken[0] != request.NamespacedName {
		t.Fatalf("woken are %v, want the snapshot", w.woken)
	}
	w.pass(3 * time.Second)
	if inFlight := w.gate.InFlight(); len(inFlight) != 0 {
		t.Errorf("in flight after the cut: %v, want nothing", inFlight)
	}
	w.pass(5 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
}

func TestWhatWaitsIsLookedAtAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*world, *snapshotv1alpha1.ApplicationSnapshot)
		waits  bool
		reason string
	}{
		"when it is deleted": {change: func(w *world, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
			w.must(w.api.Delete(w.t.Context(), snapshot))
		}},
		"when another has its name": {change: func(w *world, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
			w.must(w.api.Delete(w.t.Context(), snapshot))
			w.take(nil)
		}, waits: true, reason: ReasonWaiting},
		"when it is being deleted": {change: func(w *world, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
			snapshot.Finalizers = []string{"example.com/backup"}
			w.must(w.api.Update(w.t.Context(), snapshot))
			w.must(w.api.Delete(w.t.Context(), snapshot))
		}, reason: ReasonWaiting},
		"when it does not say that it waits": {change: func(w *world, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
			snapshot.Status.Conditions[0].Reason = preflight.ReasonClaimNotFound
			w.must(w.api.Status().Update(w.t.Context(), snapshot))
		}, waits: true, reason: ReasonWaiting},
		"when it is another one by now": {change: func(w *world, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
			snapshot.Generation, snapshot.Spec.ClaimNames = 2, []string{"gone"}
			w.must(w.api.Update(w.t.Context(), snapshot))
		}, reason: preflight.ReasonClaimNotFound},
		"when the manager begins anew": {change: func(w *world, _ *snapshotv1alpha1.ApplicationSnapshot) {
			w.restart()
		}, reason: ReasonCutting},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.gate = limits.New(limits.Limits{PerDriver: 2, PerNamespace: 2, Cluster: 2}, w.noteWake)
			w.r = w.newReconciler(w.api)
			other := request.NamespacedName
			other.Name = "other"
			w.gate.Enter(other, map[string]int{driver: 2})
			w.take(nil)
			w.pass(3 * time.Second)
			tc.change(w, w.wantPhase(snapshotv1alpha1.PhasePending, ReasonWaiting))
			_, err := w.reconcile()
			w.must(err)
			if got := w.gate.Waits(request.NamespacedName); got != tc.waits {
				t.Errorf("Waits() = %t, want %t", got, tc.waits)
			}
			if tc.reason == "" {
				return
			}
			if got := conditionOf(w.get(), snapshotv1alpha1.ConditionReady).Reason; got != tc.reason {
				t.Errorf("reason is %q, want %q", got, tc.reason)
			}
		})
	}
}

func TestMemoryWillDoWhileTheStorageSystemCuts(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.ApplicationSnapshot)
		want   bool
	}{
		"all is made": {func(*snapshotv1alpha1.ApplicationSnapshot) {}, true},
		"all is made that did not fail": {func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Status.Members[1] = snapshotv1alpha1.SnapshotMember{State: snapshotv1alpha1.MemberFailed}
		}, true},
		"one is not made yet": {func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Members[1].VolumeSnapshotUID = "" }, false},
		"it is not its turn":  {func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhasePending }, false},
		"a group is made":     {func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Spec.Mode = snapshotv1alpha1.ModeGroup }, false},
		"it has hooks":        {func(s *snapshotv1alpha1.ApplicationSnapshot) { withHooks(&s.Spec) }, false},
		"it was frozen": {func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Status.Freeze = &snapshotv1alpha1.Freeze{State: snapshotv1alpha1.Thawed}
		}, false},
		"there is something to undo": {func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Finalizers = []string{snapshotv1alpha1.FinalizerThaw} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := &snapshotv1alpha1.ApplicationSnapshot{Status: snapshotv1alpha1.ApplicationSnapshotStatus{
				Phase: snapshotv1alpha1.PhaseCutting, Members: []snapshotv1alpha1.SnapshotMember{
					{State: snapshotv1alpha1.MemberCutting, VolumeSnapshotUID: "a"}, {State: snapshotv1alpha1.MemberCutting, VolumeSnapshotUID: "b"},
				},
			}}
			tc.change(snapshot)
			if got := isAtRest(snapshot); got != tc.want {
				t.Errorf("isAtRest() = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestDeletedSnapshotsGiveTheirPlaceBack(t *testing.T) {
	w := newWorld(t)
	w.controller.Default.Cut = snapshottest.Never
	snapshot := w.take(nil)
	w.pass(3 * time.Second)
	if diff := w.gate.InFlight()[driver]; diff != 2 {
		t.Fatalf("%d in flight, want 2", diff)
	}
	if err := w.api.Delete(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	if inFlight := w.gate.InFlight(); len(inFlight) != 0 {
		t.Errorf("in flight after the deletion: %v, want nothing", inFlight)
	}
}

// TestDeletionWhileFrozen deletes a snapshot whose manager is gone.
func TestDeletionWhileFrozen(t *testing.T) {
	for name, change := range map[string]func(*snapshotv1alpha1.ApplicationSnapshotSpec){
		"claims one after the other": withHooks,
		"a group":                    both(withHooks, mode(snapshotv1alpha1.ModeGroup)),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.controller.Default.Cut = snapshottest.Never
			snapshot := w.take(change)
			w.process.Fail = func(write string) error {
				if w.pods.frozen && strings.HasPrefix(write, "create") {
					w.process.CrashAt = len(w.process.Writes) + 1
				}
				return nil
			}
			_, _ = w.reconcile()
			if !w.pods.frozen || !w.process.Dead() {
				t.Fatal("the process did not crash in the freeze")
			}
			w.restart()
			if err := w.api.Delete(t.Context(), snapshot); err != nil {
				t.Fatal(err)
			}
			w.pass(2 * time.Second)
			if err := w.api.Get(t.Context(), request.NamespacedName, snapshot); !apierrors.IsNotFound(err) {
				t.Errorf("the snapshot is there still (%v)", err)
			}
			var claim corev1.PersistentVolumeClaim
			if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: builders.Namespace, Name: "a"}, &claim); err != nil {
				t.Fatal(err)
			}
			if w.pods.frozen || len(claim.Labels) > 0 {
				t.Errorf("frozen: %t; labels of claim a: %v; want neither", w.pods.frozen, claim.Labels)
			}
		})
	}
}

// oldMemory has the snapshot as it was when it was made.
type oldMemory struct {
	client.Reader
	old *snapshotv1alpha1.ApplicationSnapshot
}

func (m oldMemory) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if into, ok := object.(*snapshotv1alpha1.ApplicationSnapshot); ok {
		m.old.DeepCopyInto(into)
		return nil
	}
	return m.Reader.Get(ctx, key, object, options...)
}

func TestOldMemoryDoesNotFreezeTwice(t *testing.T) {
	w := newWorld(t)
	old := w.take(withHooks)
	w.r = w.newReconciler(oldMemory{w.api, old.DeepCopy()})
	w.pass(20 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	if w.pods.freezes != 1 || w.creations() != 2 {
		t.Errorf("%d freezes and %d VolumeSnapshots, want 1 and 2", w.pods.freezes, w.creations())
	}
}

func TestForeignVolumeSnapshotOfTheSameName(t *testing.T) {
	w := newWorld(t)
	snapshot := w.take(nil)
	claim := "a"
	foreign := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{
		Namespace: builders.Namespace, Name: cuts.Name(snapshot, "a"), Labels: map[string]string{snapshotv1alpha1.LabelSnapshot: "another"},
	}}
	foreign.Spec.Source.PersistentVolumeClaimName = &claim
	if err := w.api.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	w.pass(10 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseFailed, ReasonMemberFailed)
	if made := w.made(); len(made) != 1 || made[0].UID != foreign.UID {
		t.Errorf("%d VolumeSnapshots are left, want the foreign one", len(made))
	}
}

func TestClaimThatTheSelectorLeavesOut(t *testing.T) {
	w := newWorld(t, builders.MakeClaim("pending").Class("fast").Obj())
	w.take(func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
		spec.ClaimNames, spec.Selector = nil, &metav1.LabelSelector{}
	})
	w.pass(10 * time.Second)
	snapshot := w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	if len(snapshot.Status.Members) != 2 || !slices.Contains(w.heard(), EventLeftOut) {
		t.Errorf("%d members and events %q, want two and one for the claim that is left out", len(snapshot.Status.Members), w.events)
	}
}

func TestMissingCRDsAreWaitedFor(t *testing.T) {
	w := newWorld(t)
	missing := &uninstalled{Reader: w.api, gone: true}
	w.r = w.newReconciler(missing)
	w.take(nil)
	w.pass(5 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhasePending, preflight.ReasonCRDsMissing)
	missing.gone = false
	w.pass(10 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, ReasonReady)
	missing.gone = true
	w.pass(2 * time.Second)
	w.wantPhase(snapshotv1alpha1.PhaseReady, preflight.ReasonCRDsMissing)
	w.wantEvents(EventPending, EventCut, EventReady, EventLost)
}

// uninstalled has no snapshot kinds while they are gone.
type uninstalled struct {
	client.Reader
	gone bool
}

func (u *uninstalled) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, ok := object.(*snapshotv1.VolumeSnapshot); ok && u.gone {
		return &meta.NoKindMatchError{}
	}
	return u.Reader.Get(ctx, key, object, options...)
}

func (u *uninstalled) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*snapshotv1.VolumeSnapshotClassList); ok && u.gone {
		return &meta.NoKindMatchError{}
	}
	return u.Reader.List(ctx, list, options...)
}
