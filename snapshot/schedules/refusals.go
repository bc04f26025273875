// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// refusal is why the API server does not take a snapshot, and would not take it a moment later.
type refusal struct {
	// reason is of ConditionScheduled.
	reason string
	cause  error
}

// refusalOf is nil for errors that pass.
func refusalOf(err error) *refusal {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &refusal{ReasonNamespaceTerminating, err}
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return &refusal{ReasonQuotaExceeded, err}
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return &refusal{ReasonRefused, err}
	default:
		return nil
	}
}

// refuse asks to try again: after ten seconds, then after as long as it has been refused by then, at most five minutes. A
// namespace that goes away is not bothered.
func (p *pass) refuse(r *refusal) {
	p.refusal = r
	p.Metrics.ran(ResultRefused, 1)
	if r.reason == ReasonNamespaceTerminating {
		return
	}
	refused := time.Duration(0)
	if c := meta.FindStatusCondition(p.status.Conditions, snapshotv1alpha1.ConditionScheduled); c != nil && c.Reason == r.reason {
		refused = p.now.Sub(c.LastTransitionTime.Time)
	}
	p.wake(p.now.Add(min(max(refused, firstRetry), longestRetry)))
	p.wakeForDeadline()
}

// wakeForDeadline looks again when the pending run has become too late.
func (p *pass) wakeForDeadline() {
	if deadline := p.schedule.Spec.StartingDeadline; deadline != nil && !p.pending.IsZero() {
		p.wake(p.pending.Add(p.delay + deadline.Duration + time.Second))
	}
}
