// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

const (
	healthy    = storagev1alpha1.HealthHealthy
	suspect    = storagev1alpha1.HealthSuspect
	unhealthy  = storagev1alpha1.HealthUnhealthy
	failedOver = storagev1alpha1.HealthFailedOver
	recovering = storagev1alpha1.HealthRecovering

	vendor = "csi.example.com"
)

var (
	testPolicy = Policy{
		UnhealthyAfter: 10 * time.Second, BadReports: 3, HealthyAfter: 30 * time.Second,
		ReportPeriod: 2 * time.Second, MaxUnhealthyPercent: 33,
	}
	start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
)

// storage is a storage system that says what the test makes it say.
type storage struct {
	mu      sync.Mutex
	reports map[Key]drivers.NodeReport
}

func (s *storage) NodeReport(provisioner, node string) drivers.NodeReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports[Key{Provisioner: provisioner, Node: node}]
}

func (s *storage) say(key Key, state drivers.StorageState, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports[key] = drivers.NodeReport{State: state, Message: message}
}

// rig is a board with all that it depends on.
type rig struct {
	*Board
	t       *testing.T
	storage *storage
	clock   *clocktesting.FakePassiveClock
}

// newRig tracks the nodes of vendor, all of them Online.
func newRig(t *testing.T, nodes ...string) *rig {
	t.Helper()
	r := &rig{t: t, storage: &storage{reports: map[Key]drivers.NodeReport{}}, clock: clocktesting.NewFakePassiveClock(start)}
	r.Board = NewBoard(Options{Reporter: r.storage, Policy: testPolicy, Clock: r.clock})
	for _, node := range nodes {
		r.say(node, drivers.Online)
		r.Track(of(node), false, storagev1alpha1.StorageNodeStatus{})
	}
	r.Evaluate()
	return r
}

func of(node string) Key {
	return Key{Provisioner: vendor, Node: node}
}

func (r *rig) say(node string, state drivers.StorageState) {
	r.storage.say(of(node), state, "")
}

func (r *rig) advance(by time.Duration) {
	r.clock.SetTime(r.clock.Now().Add(by))
}

// pass lets time pass the way the controller does: it evaluates when the board asks for it. It returns how many verdicts
// changed.
func (r *rig) pass(by time.Duration) int {
	r.t.Helper()
	end, changes := r.clock.Now().Add(by), 0
	for {
		changed, next := r.Evaluate()
		changes += len(changed)
		if next.After(end) {
			r.clock.SetTime(end)
			changed, _ = r.Evaluate()
			return changes + len(changed)
		}
		if wait := next.Sub(r.clock.Now()); wait <= 0 || wait > r.policy.ReportPeriod {
			r.t.Fatalf("Evaluate at %s asks to be called at %s", r.clock.Now(), next)
		}
		r.clock.SetTime(next)
	}
}

func (r *rig) verdict(node string) Verdict {
	r.t.Helper()
	v, ok := r.Verdict(of(node))
	if !ok {
		r.t.Fatalf("%s is not tracked", node)
	}
	return v
}

func (r *rig) wantState(node string, want storagev1alpha1.HealthState) {
	r.t.Helper()
	if got := r.verdict(node).State; got != want {
		r.t.Fatalf("at %s: %s is %s, want %s", r.clock.Now().Sub(start), node, got, want)
	}
}

// fail makes the node Unhealthy.
func (r *rig) fail(nodes ...string) {
	r.t.Helper()
	for _, node := range nodes {
		r.say(node, drivers.Offline)
	}
	r.pass(testPolicy.UnhealthyAfter)
	for _, node := range nodes {
		r.wantState(node, unhealthy)
	}
}

// fields is a Verdict without its Equal, which cmp would use: it passes over FailingSince.
type fields Verdict

// wantMove is "" where pods may be moved, or else the reason of the brake.
func (r *rig) wantMove(node, want string) {
	r.t.Helper()
	brake, ok := r.MayMove(of(node))
	if brake.Reason != want || ok != (want == "") {
		r.t.Fatalf("at %s: MayMove(%s) = %+v, %t; want the brake %q", r.clock.Now().Sub(start), node, brake, ok, want)
	}
	if !ok && brake.Message == "" {
		r.t.Errorf("the brake %s has no message", brake.Reason)
	}
}
