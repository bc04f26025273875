// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	scheduled = snapshotv1alpha1.ConditionScheduled
	retained  = snapshotv1alpha1.ConditionRetained
)

func wantNames(t *testing.T, w *world, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.names()); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

func wantTold(t *testing.T, w *world, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestARunAtEachSlot(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) {
		s.Spec.Template.Labels = map[string]string{"app": "shop", snapshotv1alpha1.LabelSchedule: "somebody-else"}
		s.Spec.Template.Annotations = map[string]string{"note": "x"}
	})
	if result := w.reconcile(); result.RequeueAfter != 59*time.Minute+30*time.Second {
		t.Errorf("the first run is looked for after %s", result.RequeueAfter)
	}
	wantNames(t, w)
	w.reconcileAt("2026-05-01T01:00:00Z")
	wantNames(t, w, "202605010100")
	snapshot := w.snapshots()[0]
	if diff := cmp.Diff(map[string]string{"app": "shop", snapshotv1alpha1.LabelSchedule: uid}, snapshot.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if snapshot.Annotations["note"] != "x" || len(snapshot.Spec.ClaimNames) != 1 || len(snapshot.OwnerReferences) != 0 {
		t.Errorf("made %+v", snapshot)
	}
	if active := w.schedule().Status.Active; active != snapshot.Name {
		t.Errorf("active is %q", active)
	}
	wantTold(t, w, EventCreated)
	w.finish(snapshotv1alpha1.PhaseReady)
	w.reconcileAt("2026-05-01T02:00:01Z")
	wantNames(t, w, "202605010100", "202605010200")

	status := w.schedule().Status
	want := snapshotv1alpha1.SnapshotScheduleStatus{
		ObservedGeneration: 1,
		LastScheduleTime:   &metav1.Time{Time: at("2026-05-01T02:00:00Z")},
		Active:             "nightly-202605010200",
		LastSuccess:        "nightly-202605010100",
		LastSuccessTime:    &metav1.Time{Time: at("2026-05-01T01:00:01Z")},
		NextRun:            &metav1.Time{Time: at("2026-05-01T03:00:00Z")},
		NextRuns:           []metav1.Time{{Time: at("2026-05-01T03:00:00Z")}, {Time: at("2026-05-01T04:00:00Z")}, {Time: at("2026-05-01T05:00:00Z")}},
		ReadySnapshots:     1,
	}
	status.Conditions = nil
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	w.wantCondition(scheduled, metav1.ConditionTrue, ReasonScheduled)
	w.wantCondition(retained, metav1.ConditionTrue, ReasonRetained)
}

func TestWithoutChangeNothingIsWritten(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { s.Spec.Jitter.Duration = 10 * time.Minute },
		point("2026-04-30T23:00:00Z"), point("2026-04-30T22:00:00Z", func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Status.CutTime = &metav1.MicroTime{Time: at("2026-04-30T22:00:00Z").Add(123456 * time.Microsecond)}
		}), point("2026-04-30T21:00:00Z", func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhaseFailed }))
	w.reconcileAt("2026-05-01T01:10:00Z")
	w.reconcile()
	before := len(w.writes)
	for range 5 {
		w.clock.Step(7*time.Minute + 123*time.Millisecond)
		w.reconcile()
	}
	w.restart()
	w.reconcile()
	if diff := cmp.Diff([]string(nil), w.writes[before:], cmp.Transformer("none", func(s []string) string { return strings.Join(s, ",") })); diff != "" {
		t.Errorf("writes without a change (-want +got):\n%s", diff)
	}
	if n := w.counted("roost_snapshot_schedules", ReasonScheduled); n != 1 {
		t.Errorf("%v schedules are counted", n)
	}
}

func TestJitterMovesTheStartAndNotTheName(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { s.Spec.Jitter.Duration = 30 * time.Minute })
	w.reconcile()
	next := w.schedule().Status.NextRun.Time
	delay := next.Sub(at("2026-05-01T01:00:00Z"))
	if delay <= 0 || delay >= 30*time.Minute {
		t.Fatalf("the first run starts at %s", next)
	}
	w.clock.SetTime(next.Add(-time.Second))
	w.reconcile()
	wantNames(t, w)
	w.clock.SetTime(next)
	w.reconcile()
	wantNames(t, w, "202605010100")
}

func TestMissedRuns(t *testing.T) {
	hour := &metav1.Duration{Duration: 10 * time.Minute}
	for name, tc := range map[string]struct {
		deadline *metav1.Duration
		now      string
		names    []string
		skipped  *snapshotv1alpha1.SkippedRun
		missed   float64
		last     string
	}{
		"of several the latest is made up for": {nil, "2026-05-01T05:30:00Z", []string{"202605010500"},
			&snapshotv1alpha1.SkippedRun{Time: metav1.Time{Time: at("2026-05-01T04:00:00Z")}, Reason: SkippedMissed}, 4, "2026-05-01T05:00:00Z"},
		"not when it is too late": {hour, "2026-05-01T05:30:00Z", nil,
			&snapshotv1alpha1.SkippedRun{Time: metav1.Time{Time: at("2026-05-01T05:00:00Z")}, Reason: SkippedMissed}, 5, "2026-05-01T05:00:00Z"},
		"one that is late and not too late": {hour, "2026-05-01T01:09:00Z", []string{"202605010100"}, nil, 0, "2026-05-01T01:00:00Z"},
		"a clock that jumps for years": {nil, "2096-05-01T05:30:00Z", []string{"209605010500"},
			&snapshotv1alpha1.SkippedRun{Time: metav1.Time{Time: at("2096-05-01T04:00:00Z")}, Reason: SkippedMissed}, 100, "2096-05-01T05:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { s.Spec.StartingDeadline = tc.deadline })
			w.reconcileAt(tc.now)
			w.reconcile()
			wantNames(t, w, tc.names...)
			status := w.schedule().Status
			if diff := cmp.Diff(tc.skipped, status.LastSkipped); diff != "" {
				t.Errorf("lastSkipped (-want +got):\n%s", diff)
			}
			if got := w.counted("roost_snapshot_schedule_runs_total", SkippedMissed); got != tc.missed {
				t.Errorf("%v missed runs are counted, want %v", got, tc.missed)
			}
			if !status.LastScheduleTime.Equal(&metav1.Time{Time: at(tc.last)}) {
				t.Errorf("lastScheduleTime is %s, want %s", status.LastScheduleTime, tc.last)
			}
			if told := w.told(); (tc.missed > 0) != (len(told) > 0 && told[0] == EventSkipped) {
				t.Errorf("told %v", told)
			}
		})
	}
}

func TestNoRunIsMadeForAClockThatGoesBack(t *testing.T) {
	w := newWorld(t, nil)
	for _, now := range []string{"2026-05-01T05:00:00Z", "2026-05-01T06:00:10Z"} {
		w.reconcileAt(now)
		w.finish(snapshotv1alpha1.PhaseReady)
	}
	for _, snapshot := range w.snapshots() { // so that names alone keep nothing from being made again
		if err := w.raw.Delete(t.Context(), &snapshot); err != nil {
			t.Fatal(err)
		}
	}
	for _, now := range []string{"2026-05-01T02:30:00Z", "2026-05-01T05:59:00Z", "2026-05-01T06:30:00Z"} {
		w.reconcileAt(now)
		w.finish(snapshotv1alpha1.PhaseReady)
	}
	wantNames(t, w)
}

func TestAClockThatWasYearsAheadDoesNotStopAScheduleForYears(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcileAt("2046-05-01T05:00:00Z")
	w.finish(snapshotv1alpha1.PhaseReady)
	w.told()
	w.reconcileAt("2026-05-01T05:30:00Z")
	wantNames(t, w, "204605010500")
	wantTold(t, w, EventClockWentBack)
	w.reconcileAt("2026-05-01T06:00:00Z")
	wantNames(t, w, "202605010600", "204605010500")
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcileAt("2026-05-01T01:00:00Z")
	w.finish(snapshotv1alpha1.PhaseReady)
	w.told()
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Suspend = true })
	w.reconcileAt("2026-05-01T01:10:00Z")
	w.wantCondition(scheduled, metav1.ConditionFalse, ReasonSuspended)
	w.reconcileAt("2026-05-01T05:10:00Z")
	status := w.schedule().Status
	if !status.Suspended || status.NextRun != nil || status.ReadySnapshots != 1 {
		t.Errorf("suspended, the status is %+v", status)
	}
	wantTold(t, w, EventSuspended)
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Suspend = false })
	w.reconcileAt("2026-05-01T05:20:00Z")
	w.reconcileAt("2026-05-01T05:59:00Z")
	wantNames(t, w, "202605010100")
	wantTold(t, w, EventResumed)
	status = w.schedule().Status
	if status.LastSkipped != nil || !status.ResumedTime.Equal(&metav1.Time{Time: at("2026-05-01T05:20:00Z")}) {
		t.Errorf("resumed, the status is %+v", status)
	}
	w.wantCondition(scheduled, metav1.ConditionTrue, ReasonScheduled)
	w.reconcileAt("2026-05-01T06:00:00Z")
	wantNames(t, w, "202605010100", "202605010600")
}

func TestAnEditRunsNothingForTimesBeforeIt(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { s.Spec.Schedule = "0 3 * * *" })
	w.reconcileAt("2026-05-01T03:00:00Z")
	w.finish(snapshotv1alpha1.PhaseReady)
	w.clock.SetTime(at("2026-05-01T15:00:00Z"))
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Schedule = "0 14 * * *" })
	w.reconcile()
	w.reconcile()
	wantNames(t, w, "202605010300")
	w.reconcileAt("2026-05-02T14:00:00Z")
	wantNames(t, w, "202605010300", "202605021400")
}

func TestAnEditTakesNoRunAwayThatWasDue(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { s.Spec.Schedule = "0 3 * * *" })
	w.reconcile()
	w.clock.SetTime(at("2026-05-01T04:00:00Z"))
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Template.Labels = map[string]string{"a": "b"} })
	w.reconcile()
	wantNames(t, w, "202605010300")
}

func TestRunNow(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcile()
	token := func(text string) {
		w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.RunNow = text })
		w.reconcile()
		w.reconcile()
	}
	for i, text := range []string{"A", "B", "A", "", "A"} {
		token(text)
		want := []int{1, 2, 3, 3, 4}[i]
		if got := len(w.snapshots()); got != want {
			t.Errorf("after token %d, %q, there are %d snapshots, want %d", i, text, got, want)
		}
		if got := w.schedule().Status.LastRunNow; got != text {
			t.Errorf("lastRunNow is %q, want %q", got, text)
		}
		w.finish(snapshotv1alpha1.PhaseReady)
	}
	token("C")
	token("D") // C is not cut yet
	if got := w.schedule().Status.LastRunNow; got != "C" || len(w.snapshots()) != 5 {
		t.Errorf("while C is not cut, %q was heard last, with %d snapshots", got, len(w.snapshots()))
	}
	w.finish(snapshotv1alpha1.PhaseUploading)
	w.reconcile()
	if got := w.schedule().Status; got.LastRunNow != "D" || len(w.snapshots()) != 6 || got.ObservedGeneration != w.schedule().Generation {
		t.Errorf("once C is cut, the status is %+v, with %d snapshots", got, len(w.snapshots()))
	}
}

func TestRunNowOfASuspendedScheduleIsHeardAndMakesNoRun(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { s.Spec.Suspend, s.Spec.RunNow = true, "A" })
	w.reconcile()
	if skipped := w.schedule().Status.LastSkipped; skipped == nil || skipped.Reason != SkippedSuspended {
		t.Errorf("lastSkipped is %+v", skipped)
	}
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Suspend = false })
	w.reconcile()
	wantNames(t, w)
}

func TestOverlap(t *testing.T) {
	for name, tc := range map[string]struct {
		phase    snapshotv1alpha1.Phase
		overlaps bool
	}{
		"not looked at yet": {"", true},
		"pending":           {snapshotv1alpha1.PhasePending, true},
		"cutting":           {snapshotv1alpha1.PhaseCutting, true},
		"uploading":         {snapshotv1alpha1.PhaseUploading, false},
		"ready":             {snapshotv1alpha1.PhaseReady, false},
		"failed":            {snapshotv1alpha1.PhaseFailed, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.reconcileAt("2026-05-01T01:00:00Z")
			w.finish(tc.phase)
			w.reconcileAt("2026-05-01T02:00:00Z")
			skipped := w.schedule().Status.LastSkipped
			if overlaps := skipped != nil && skipped.Reason == SkippedOverlap; overlaps != tc.overlaps {
				t.Errorf("lastSkipped is %+v", skipped)
			}
			if got := w.counted("roost_snapshot_schedule_runs_total", SkippedOverlap); (got == 1) != tc.overlaps {
				t.Errorf("%v overlaps are counted", got)
			}
			if got := len(w.snapshots()); (got == 1) != tc.overlaps {
				t.Errorf("there are %d snapshots", got)
			}
			w.finish(snapshotv1alpha1.PhaseReady)
			w.reconcileAt("2026-05-01T02:30:00Z")
			if got := len(w.snapshots()); (got == 1) != tc.overlaps {
				t.Errorf("later there are %d snapshots: a run that was left out is not made up for", got)
			}
		})
	}
}

func TestInvalidSchedulesRunNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.SnapshotScheduleSpec)
		says   []string
	}{
		"a zone in the expression": {func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Schedule = "TZ=0" }, []string{"spec.schedule", "TZ=0", "timeZone"}},
		"an impossible day":        {func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Schedule = "0 0 30 2 *" }, []string{"spec.schedule", "0 0 30 2 *", "never"}},
		"an unknown zone":          {func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.TimeZone = "Mars/Phobos" }, []string{"spec.timeZone", "Mars/Phobos", "IANA"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { tc.change(&s.Spec); s.Spec.RunNow = "A" })
			for _, now := range []string{"2026-05-01T01:00:00Z", "2026-05-02T01:00:00Z"} {
				w.reconcileAt(now)
			}
			wantNames(t, w)
			w.wantCondition(scheduled, metav1.ConditionFalse, ReasonInvalid, tc.says...)
			w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Schedule, s.TimeZone, s.RunNow = "0 * * * *", "", "" })
			w.reconcileAt("2026-05-02T02:30:00Z")
			wantNames(t, w) // nothing for the hours before it was put right
			w.wantCondition(scheduled, metav1.ConditionTrue, ReasonScheduled)
			w.reconcileAt("2026-05-02T03:00:00Z")
			wantNames(t, w, "202605020300")
		})
	}
}

func TestQuota(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) {
		s.Spec.StartingDeadline = &metav1.Duration{Duration: 20 * time.Minute}
		s.Spec.Retention = snapshotv1alpha1.Retention{Last: 1, MinReady: 1}
	}, point("2026-04-30T22:00:00Z"), point("2026-04-30T23:00:00Z"))
	w.before = refuseCreate(errQuota)
	result := w.reconcileAt("2026-05-01T01:00:00Z")
	wantNames(t, w, "202604302300") // retention works all the same, and not beyond what it keeps
	w.wantCondition(scheduled, metav1.ConditionFalse, ReasonQuotaExceeded, "exceeded quota: few")
	if result.RequeueAfter != firstRetry {
		t.Errorf("tried again after %s", result.RequeueAfter)
	}
	w.clock.Step(time.Minute)
	if result = w.reconcile(); result.RequeueAfter != time.Minute {
		t.Errorf("after a minute tried again after %s", result.RequeueAfter)
	}
	w.reconcileAt("2026-05-01T01:20:01Z") // past the deadline
	if skipped := w.schedule().Status.LastSkipped; skipped == nil || skipped.Reason != SkippedMissed || !skipped.Time.Equal(&metav1.Time{Time: at("2026-05-01T01:00:00Z")}) {
		t.Errorf("lastSkipped is %+v", skipped)
	}
	w.wantCondition(scheduled, metav1.ConditionFalse, ReasonQuotaExceeded) // nothing says that it is over
	w.before = nil
	w.reconcileAt("2026-05-01T01:30:00Z")
	wantNames(t, w, "202604302300")
	w.reconcileAt("2026-05-01T02:00:00Z")
	wantNames(t, w, "202604302300", "202605010200")
	w.wantCondition(scheduled, metav1.ConditionTrue, ReasonScheduled)
}

func TestQuotaThatIsRaisedInTime(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcile()
	w.before = refuseCreate(errQuota)
	w.reconcileAt("2026-05-01T01:00:00Z")
	if next := w.schedule().Status.NextRun; !next.Equal(&metav1.Time{Time: at("2026-05-01T01:00:00Z")}) {
		t.Errorf("the run that is due is not the next, but %s", next)
	}
	w.before = nil
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Template.Labels = map[string]string{"a": "b"} })
	w.reconcileAt("2026-05-01T01:00:10Z")
	wantNames(t, w, "202605010100")
}

func TestOtherRefusals(t *testing.T) {
	resource := schema.GroupResource{Group: "snapshot.roost.dev", Resource: "applicationsnapshots"}
	terminating := apierrors.NewForbidden(resource, "x", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = append(terminating.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	for name, tc := range map[string]struct {
		err    error
		reason string
		again  time.Duration
	}{
		"the namespace is going away":            {terminating, ReasonNamespaceTerminating, time.Hour},
		"a policy forbids the hooks":             {apierrors.NewForbidden(resource, "x", errors.New("may not exec")), ReasonRefused, firstRetry},
		"the template makes nothing of use":      {apierrors.NewInvalid(schema.GroupKind{Kind: "ApplicationSnapshot"}, "x", nil), ReasonRefused, firstRetry},
		"a condition and not an error each time": {errQuota, ReasonQuotaExceeded, firstRetry},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.before = refuseCreate(tc.err)
			if result := w.reconcileAt("2026-05-01T01:00:00Z"); result.RequeueAfter != tc.again {
				t.Errorf("tried again after %s, want %s", result.RequeueAfter, tc.again)
			}
			w.reconcile()
			w.wantCondition(scheduled, metav1.ConditionFalse, tc.reason)
			wantTold(t, w, tc.reason)
		})
	}
}

func TestANameThatIsTaken(t *testing.T) {
	foreign := point("2026-05-01T01:00:00Z", func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels = nil })
	w := newWorld(t, nil, foreign)
	w.reconcileAt("2026-05-01T01:00:00Z")
	if skipped := w.schedule().Status.LastSkipped; skipped == nil || skipped.Reason != SkippedNameTaken {
		t.Errorf("lastSkipped is %+v", skipped)
	}
	if got := w.snapshots()[0]; len(got.Labels) != 0 {
		t.Errorf("a foreign snapshot became %+v", got)
	}
	w.reconcileAt("2026-05-01T02:00:00Z")
	wantNames(t, w, "202605010100", "202605010200")
}

func TestNothingIsMadeByAScheduleThatMemoryHasOtherwise(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcile()
	stale := w.schedule()
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Suspend = true })
	w.reconciler.Memory = staleReader{w.client, stale}
	if result := w.reconcileAt("2026-05-01T01:00:00Z"); result.RequeueAfter != soon {
		t.Errorf("looked again after %s", result.RequeueAfter)
	}
	wantNames(t, w)
}

func TestASnapshotThatAPersonDeletedIsNotMadeAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcileAt("2026-05-01T01:00:00Z")
	for _, snapshot := range w.snapshots() {
		if err := w.raw.Delete(t.Context(), &snapshot); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	w.reconcileAt("2026-05-01T01:00:01Z")
	wantNames(t, w)
	if active := w.schedule().Status.Active; active != "" {
		t.Errorf("active is %q", active)
	}
}

func TestOverlapWithASnapshotThatMemoryHasNotGotYet(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcileAt("2026-05-01T01:00:00Z")
	w.reconciler.Memory = emptyReader{w.client}
	w.reconcileAt("2026-05-01T02:00:00Z")
	wantNames(t, w, "202605010100")
	if active := w.schedule().Status.Active; active != "nightly-202605010100" {
		t.Errorf("active is %q", active)
	}
}

func TestCRDsMissing(t *testing.T) {
	w := newWorld(t, nil)
	w.listing = func(client.ObjectList) error {
		return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "ApplicationSnapshot"}, SearchedVersions: []string{"v1alpha1"}}
	}
	if result := w.reconcileAt("2026-05-01T01:00:00Z"); result.RequeueAfter != missingKinds {
		t.Errorf("looked again after %s", result.RequeueAfter)
	}
	w.wantCondition(scheduled, metav1.ConditionFalse, ReasonKindsMissing)
	w.listing = nil
	w.reconcileAt("2026-05-01T01:01:00Z")
	wantNames(t, w, "202605010100")
	w.wantCondition(scheduled, metav1.ConditionTrue, ReasonScheduled)
}

func TestOverdueIsCountedWithoutNames(t *testing.T) {
	w := newWorld(t, nil)
	w.reconcileAt("2026-05-01T01:00:00Z")
	w.finish(snapshotv1alpha1.PhaseFailed)
	w.reconcileAt("2026-05-01T02:00:00Z")
	if got := w.counted("roost_snapshot_schedules_overdue"); got != 0 {
		t.Errorf("after two runs %v are overdue", got)
	}
	w.clock.SetTime(at("2026-05-01T03:00:00Z")) // by the clock alone: nobody has to look for it
	if got := w.counted("roost_snapshot_schedules_overdue"); got != 1 {
		t.Errorf("when the third is due %v are overdue", got)
	}
	w.finish(snapshotv1alpha1.PhaseReady)
	w.reconcile()
	if got := w.counted("roost_snapshot_schedules_overdue"); got != 0 {
		t.Errorf("after a success %v are overdue", got)
	}
	if got := w.counted("roost_snapshot_schedules_oldest_success_timestamp_seconds"); got != float64(at("2026-05-01T02:00:01Z").Unix()) {
		t.Errorf("the oldest success is %v", got)
	}
	if err := w.raw.Delete(t.Context(), w.schedule()); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if got := w.counted("roost_snapshot_schedules", ReasonScheduled); got != 0 {
		t.Errorf("%v schedules are counted that are gone", got)
	}
}

func TestNames(t *testing.T) {
	slot := at("2026-05-01T01:00:00Z")
	long, other := strings.Repeat("a", 240)+"-x", strings.Repeat("a", 240)+"-y"
	if got := slotName("nightly", slot.In(time.FixedZone("", 3600))); got != "nightly-202605010100" {
		t.Errorf("named %s", got)
	}
	a, b := slotName(long, slot), slotName(other, slot)
	if a == b || len(a) > longestName || !strings.HasSuffix(a, "-202605010100") {
		t.Errorf("long names became %s and %s", a, b)
	}
	if a != slotName(long, slot) || nowName("n", "A", 1) == nowName("n", "A", 2) || nowName("n", "A", 1) == nowName("n", "B", 1) {
		t.Error("names are not made of what they should be")
	}
}
