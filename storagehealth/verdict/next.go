// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"time"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// situation is what the checks look at.
type situation struct {
	policy Policy
	now    time.Time
	last   Verdict
	// run is the sequence of observations of one kind that the present one belongs to.
	run run
	obs Observation
}

// check concludes a state and a reason for it, or says that it is not about the situation.
type check func(s situation) (state storagev1alpha1.HealthState, reason string, ok bool)

// checks are in order: the first that is about the situation decides. Where none is, the storage serves I/O.
var checks = []check{
	isOutOfService,  // Nothing is concluded while somebody works on the node.
	isSilent,        // Nothing is concluded from silence.
	isStillBad,      // What failed stays failed while it is bad.
	isBadAgain,      // What recovers is not given up at once: it has no new pods.
	isBadForTooLong, // Failed.
	isSuspect,       // Bad for too short a time.
	isReturned,      // Good again for too short a time.
}

// Next is the journal after one more observation. It is pure.
func Next(policy Policy, now time.Time, last Journal, obs Observation) Journal {
	last = last.notAfter(now)
	s := situation{policy: policy, now: now, last: last.Verdict, run: last.run.next(obs.kind(), now, policy.ReportPeriod), obs: obs}
	next := Journal{Verdict: s.last, run: s.run}
	next.Verdict.State, next.Verdict.Reason = s.conclude()
	next.Verdict.Storage = storageOf(obs.Report)
	if next.Verdict.State != s.last.State {
		next.Verdict.Since = toTheMicrosecond(now)
	}
	next.Verdict.FailingSince = s.failingSince(next.Verdict.State)
	if last.unseen() || !next.Verdict.same(s.last) {
		next.Verdict.Message = s.message(next.Verdict)
	}
	return next
}

func (s situation) conclude() (storagev1alpha1.HealthState, string) {
	for _, check := range checks {
		if state, reason, ok := check(s); ok {
			return state, reason
		}
	}
	return storagev1alpha1.HealthHealthy, ReasonServing
}

func isOutOfService(s situation) (storagev1alpha1.HealthState, string, bool) {
	return s.unsuspected(), ReasonMaintenance, s.run.kind == outOfService
}

func isSilent(s situation) (storagev1alpha1.HealthState, string, bool) {
	return s.unsuspected(), ReasonStorageSilent, s.run.kind == silent
}

func isStillBad(s situation) (storagev1alpha1.HealthState, string, bool) {
	return s.last.State, ReasonOffline, s.run.kind == bad && s.last.Failed()
}

func isBadAgain(s situation) (storagev1alpha1.HealthState, string, bool) {
	return storagev1alpha1.HealthRecovering, ReasonOfflineAgain, s.run.kind == bad && s.recovering() && !s.badForTooLong()
}

func isBadForTooLong(s situation) (storagev1alpha1.HealthState, string, bool) {
	return storagev1alpha1.HealthUnhealthy, ReasonOffline, s.run.kind == bad && s.badForTooLong()
}

func isSuspect(s situation) (storagev1alpha1.HealthState, string, bool) {
	return storagev1alpha1.HealthSuspect, ReasonOffline, s.run.kind == bad
}

func isReturned(s situation) (storagev1alpha1.HealthState, string, bool) {
	returned := s.last.Failed() || s.recovering() && s.now.Before(s.healthyFrom())
	return storagev1alpha1.HealthRecovering, ReasonReturned, s.run.kind == good && returned
}

// unsuspected is the last state without a suspicion that nothing confirms.
func (s situation) unsuspected() storagev1alpha1.HealthState {
	if s.last.State == storagev1alpha1.HealthSuspect {
		return storagev1alpha1.HealthHealthy
	}
	return s.last.State
}

func (s situation) recovering() bool {
	return s.last.State == storagev1alpha1.HealthRecovering
}

func (s situation) badForTooLong() bool {
	return s.run.reports >= s.policy.BadReports && !s.now.Before(s.unhealthyFrom())
}

// unhealthyFrom is when a bad run makes the node Unhealthy, given BadReports reports by then.
func (s situation) unhealthyFrom() time.Time {
	from := s.run.since.Add(s.policy.UnhealthyAfter)
	if s.recovering() {
		return later(from, s.last.Since.Add(s.policy.UnhealthyAfter+s.policy.HealthyAfter))
	}
	return from
}

// healthyFrom is when a good run makes a node that recovers Healthy.
func (s situation) healthyFrom() time.Time {
	return s.run.since.Add(s.policy.HealthyAfter)
}

func (s situation) failingSince(state storagev1alpha1.HealthState) time.Time {
	if state == storagev1alpha1.HealthHealthy {
		return time.Time{}
	}
	if s.last.FailingSince.IsZero() {
		return s.run.since
	}
	return s.last.FailingSince
}

// deadline is when the state changes at the earliest while observations stay as they are.
func (j Journal) deadline(policy Policy) (time.Time, bool) {
	s := situation{policy: policy, last: j.Verdict, run: j.run}
	switch {
	case s.run.kind == good && s.recovering():
		return s.healthyFrom(), true
	case s.run.kind != bad || s.last.Failed():
		return time.Time{}, false
	case s.run.reports < policy.BadReports:
		return s.run.counted.Add(policy.ReportPeriod), true
	default:
		return s.unhealthyFrom(), true
	}
}

// storageOf is what a verdict says of the storage: nothing that the API does not know.
func storageOf(report drivers.NodeReport) drivers.StorageState {
	if report.State > drivers.Offline {
		return drivers.Unknown
	}
	return report.State
}
