// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// statusOf is what the controller writes of a verdict, as the API server gives it back.
func statusOf(t *testing.T, v Verdict) storagev1alpha1.StorageNodeStatus {
	t.Helper()
	written := metav1.NewMicroTime(v.Since)
	data, err := written.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var since metav1.MicroTime
	if err := since.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return storagev1alpha1.StorageNodeStatus{State: v.State, Since: &since, StorageState: v.Storage.String(), Reason: v.Reason, Message: v.Message}
}

// restart is a new process that continues after the time.
func (r *rig) restart(after time.Duration, nodes ...string) {
	r.t.Helper()
	statuses := map[string]storagev1alpha1.StorageNodeStatus{}
	for _, node := range nodes {
		statuses[node] = statusOf(r.t, r.verdict(node))
	}
	r.advance(after)
	r.Board = NewBoard(Options{Reporter: r.storage, Policy: testPolicy, Clock: r.clock})
	for node, status := range statuses {
		r.Track(of(node), false, status)
	}
}

// reach makes node "a" be in the state, at a time that a status cannot hold exactly.
func (r *rig) reach(state storagev1alpha1.HealthState) {
	r.t.Helper()
	r.advance(123456789)
	switch state {
	case suspect:
		r.say("a", drivers.Offline)
		r.pass(period)
	case unhealthy:
		r.fail("a")
	case failedOver:
		r.fail("a")
		r.SetFailedOver(of("a"), true)
	case recovering:
		r.fail("a")
		r.say("a", drivers.Online)
		r.pass(0)
	case healthy:
	}
	r.wantState("a", state)
}

func TestRestartInEveryStateChangesNothing(t *testing.T) {
	for state := range lastStates {
		t.Run(string(state), func(t *testing.T) {
			r := newRig(t, "a")
			r.reach(state)
			want := r.verdict("a")
			r.restart(0, "a")
			if changed, _ := r.Evaluate(); len(changed) != 0 {
				t.Errorf("the first look after the restart changed the verdict to %+v", r.verdict("a"))
			}
			if got := r.verdict("a"); !got.Equal(want) {
				t.Errorf("verdict (-want +got):\n%s", cmp.Diff(fields(want), fields(got)))
			}
		})
	}
}

func TestFirstLookAfterARestartSaysItAnew(t *testing.T) {
	r := newRig(t)
	begin := metav1.NewMicroTime(start)
	status := storagev1alpha1.StorageNodeStatus{State: healthy, Since: &begin, StorageState: "Online", Reason: ReasonServing, Message: "words of an earlier version"}
	r.storage.say(of("a"), drivers.Online, "words of today")
	r.Track(of("a"), false, status)
	if !r.Observe(of("a")) || r.verdict("a").Message != "words of today" {
		t.Errorf("message = %q, want what the storage system says", r.verdict("a").Message)
	}
}

func TestSuspicionAfterARestart(t *testing.T) {
	tests := map[string]struct {
		down time.Duration
		// want is when the node becomes Unhealthy, counted from the restart.
		want time.Duration
	}{
		"at once: it keeps its beginning":                    {0, 8 * second},
		"a hand-over: three reports are needed all the same": {9 * second, 4 * second},
		"a gap in which nobody watched: it begins anew":      {15 * second, 10 * second},
		"an hour in which nobody watched: it begins anew":    {time.Hour, 10 * second},
		"the new process's clock is behind: it begins anew":  {-time.Hour, 10 * second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "a")
			r.say("a", drivers.Offline)
			r.pass(period)
			r.restart(tc.down, "a")
			r.wantState("a", suspect)
			r.pass(tc.want - 1)
			r.wantState("a", suspect)
			r.pass(1)
			r.wantState("a", unhealthy)
		})
	}
}

func TestRestartsAreNoReports(t *testing.T) {
	r := newRig(t, "a")
	r.say("a", drivers.Offline)
	for range 20 {
		r.pass(0)
		r.restart(second, "a")
		if r.verdict("a").Failed() {
			t.Fatalf("failed at %s without three reports in one process", r.clock.Now().Sub(start))
		}
	}
}

func TestRecoveryBeginsAnewAfterARestart(t *testing.T) {
	r := newRig(t, "a")
	r.reach(recovering)
	r.pass(28 * second)
	r.restart(time.Hour, "a")
	r.pass(30*second - 1)
	r.wantState("a", recovering)
	r.pass(1)
	r.wantState("a", healthy)
}

func TestRestartWhileUnhealthyGoesOn(t *testing.T) {
	r := newRig(t, "a")
	r.reach(unhealthy)
	r.restart(time.Hour, "a")
	r.wantMove("a", "")
	r.say("a", drivers.Online)
	r.wantMove("a", ReasonNotBad)
	r.pass(0)
	r.wantState("a", recovering)
}

func TestRestore(t *testing.T) {
	recent := metav1.NewMicroTime(start.Add(-second))
	past, future := metav1.NewMicroTime(start.Add(-time.Hour)), metav1.NewMicroTime(start.Add(time.Hour))
	tests := map[string]struct {
		status       storagev1alpha1.StorageNodeStatus
		want         Verdict
		wantBadSince time.Time
	}{
		"nothing": {want: Verdict{State: healthy, Since: start}},
		"all of it": {
			status: storagev1alpha1.StorageNodeStatus{State: unhealthy, Since: &past, StorageState: "Offline", Reason: ReasonOffline, Message: "said"},
			want:   Verdict{State: unhealthy, Since: past.Time, Storage: drivers.Offline, Reason: ReasonOffline, Message: "said", FailingSince: past.Time},
		},
		"a suspicion of a moment ago": {
			status:       storagev1alpha1.StorageNodeStatus{State: suspect, Since: &recent},
			want:         Verdict{State: suspect, Since: recent.Time, FailingSince: recent.Time},
			wantBadSince: recent.Time,
		},
		"a suspicion of long ago": {
			status: storagev1alpha1.StorageNodeStatus{State: suspect, Since: &past},
			want:   Verdict{State: suspect, Since: past.Time, FailingSince: past.Time},
		},
		"good again since a moment ago": {
			status: storagev1alpha1.StorageNodeStatus{State: recovering, Since: &recent},
			want:   Verdict{State: recovering, Since: recent.Time, FailingSince: recent.Time},
		},
		"a good one has not been failing": {
			status: storagev1alpha1.StorageNodeStatus{State: healthy, Since: &past, StorageState: "Degraded"},
			want:   Verdict{State: healthy, Since: past.Time, Storage: drivers.Degraded},
		},
		"a time in the future": {
			status: storagev1alpha1.StorageNodeStatus{State: failedOver, Since: &future},
			want:   Verdict{State: failedOver, Since: start, FailingSince: start},
		},
		"no time": {
			status: storagev1alpha1.StorageNodeStatus{State: recovering},
			want:   Verdict{State: recovering, Since: start, FailingSince: start},
		},
		"a state of a later version": {
			status: storagev1alpha1.StorageNodeStatus{State: "Doomed", Since: &past, StorageState: "Offline", Reason: "Omen", Message: "said"},
			want:   Verdict{State: healthy, Since: start},
		},
		"a storage state of a later version": {
			status: storagev1alpha1.StorageNodeStatus{State: healthy, Since: &past, StorageState: "Haunted"},
			want:   Verdict{State: healthy, Since: past.Time},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Restore(testPolicy, start, tc.status)
			if diff := cmp.Diff(fields(tc.want), fields(got.Verdict)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if got.run.reports != 0 || !got.run.since.Equal(tc.wantBadSince) {
				t.Errorf("%d reports since %s, want none since %s", got.run.reports, got.run.since, tc.wantBadSince)
			}
		})
	}
}
