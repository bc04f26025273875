// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"time"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// Journal is a verdict with the observations that led to it: all that Next needs to remember.
type Journal struct {
	Verdict Verdict
	run     run
}

// Restore begins with the status that an earlier run of the manager left behind; an empty one, or one
// with a state of a later version, is as good as none.
// The state is kept. Reports are counted anew, and a node that recovers begins anew to be good. A suspicion keeps its
// beginning only if it is so young that the earlier run cannot have ended long ago: of an older one, nobody saw how the
// storage was meanwhile.
func Restore(policy Policy, now time.Time, status storagev1alpha1.StorageNodeStatus) Journal {
	restored := Journal{Verdict: Verdict{State: storagev1alpha1.HealthHealthy, Since: toTheMicrosecond(now)}}
	if !isState(status.State) {
		return restored
	}
	verdict := &restored.Verdict
	verdict.State = status.State
	verdict.Storage = drivers.StorageStateOf(status.StorageState)
	verdict.Reason = status.Reason
	verdict.Message = status.Message
	if status.Since != nil {
		verdict.Since = earlier(status.Since.Time, verdict.Since)
	}
	if verdict.State == storagev1alpha1.HealthHealthy {
		return restored
	}
	verdict.FailingSince = verdict.Since
	watched := policy.UnhealthyAfter + time.Duration(policy.BadReports)*policy.ReportPeriod
	if verdict.State == storagev1alpha1.HealthSuspect && now.Sub(verdict.Since) <= watched {
		restored.run = run{kind: bad, since: verdict.Since}
	}
	return restored
}

// notAfter is j with no time later than now.
func (j Journal) notAfter(now time.Time) Journal {
	if j.Verdict.Since.After(now) {
		j.Verdict.Since = toTheMicrosecond(now)
	}
	j.Verdict.FailingSince = earlier(j.Verdict.FailingSince, now)
	j.run = j.run.notAfter(now)
	return j
}

// unseen says that nothing was observed since the journal was restored.
func (j Journal) unseen() bool {
	return j.run.reports == 0
}

// isState is false for a state that this version does not know.
func isState(state storagev1alpha1.HealthState) bool {
	switch state {
	case storagev1alpha1.HealthHealthy, storagev1alpha1.HealthSuspect, storagev1alpha1.HealthUnhealthy,
		storagev1alpha1.HealthFailedOver, storagev1alpha1.HealthRecovering:
		return true
	default:
		return false
	}
}

// toTheMicrosecond is t as precise as a status holds it, and as a clock on the wall shows it.
func toTheMicrosecond(t time.Time) time.Time {
	return t.Truncate(time.Microsecond)
}
