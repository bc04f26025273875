// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/retention"
)

// Reasons of conditions.
const (
	// ReasonScheduled is that runs are made.
	ReasonScheduled = "Scheduled"
	// ReasonRetained is that retention works.
	ReasonRetained = "Retained"
	// ReasonSuspended is that spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonInvalid is that the spec cannot be carried out. The message names the field, its value and what is allowed.
	ReasonInvalid = "Invalid"
	// ReasonQuotaExceeded is that a ResourceQuota takes no more snapshots.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonNamespaceTerminating is that the namespace is being deleted.
	ReasonNamespaceTerminating = "NamespaceTerminating"
	// ReasonRefused is that the API server does not take what the template makes.
	ReasonRefused = "SnapshotRefused"
	// ReasonKindsMissing is that the API server has no ApplicationSnapshots.
	ReasonKindsMissing = "CRDsMissing"
	// ReasonReferencesUnknown is that it cannot be known what is in use, so that nothing is deleted.
	ReasonReferencesUnknown = "ReferencesUnknown"
	// ReasonDeleteFailed is that the API server does not delete.
	ReasonDeleteFailed = "DeleteFailed"
)

// nextRuns is how many are in the status.
const nextRuns = 3

// longestMessage is what a condition's message may have of others' words.
const longestMessage = 1024

// summarize writes the status. carriedOut is that nothing failed that is to be tried again.
func (p *pass) summarize(carriedOut bool) {
	p.summarizeSnapshots()
	p.summarizeRuns()
	p.summarizeScheduled()
	if p.blocked != nil {
		p.condition(snapshotv1alpha1.ConditionRetained, metav1.ConditionFalse, p.blocked.reason, messageOf(p.blocked.cause))
	} else {
		p.condition(snapshotv1alpha1.ConditionRetained, metav1.ConditionTrue, ReasonRetained, "what retention does not keep is removed")
	}
	// Not before runNow is heard: the name of its snapshot is made with the generation before.
	if carriedOut && (p.status.LastRunNow == p.schedule.Spec.RunNow) {
		p.status.ObservedGeneration = p.schedule.Generation
	}
}

func (p *pass) summarizeSnapshots() {
	p.status.Active, p.status.ReadySnapshots = "", 0
	p.status.LastSuccess, p.status.LastSuccessTime, p.status.LastFailure = "", nil, ""
	var failure time.Time
	uncut := p.uncut()
	for i := range p.mine {
		snapshot := &p.mine[i]
		if snapshot.Status.Phase == snapshotv1alpha1.PhaseUploading && snapshot.Name > p.status.Active {
			p.status.Active = snapshot.Name
		}
		switch stateOf(snapshot) {
		case retention.Ready:
			if snapshot.DeletionTimestamp == nil {
				p.status.ReadySnapshots++
			}
		case retention.Failed:
			if created := snapshot.CreationTimestamp.Time; p.status.LastFailure == "" || created.After(failure) {
				p.status.LastFailure, failure = snapshot.Name, created
			}
		default:
		}
	}
	if newest, cut, ok := retention.Newest(p.now, pointsOf(p.mine, nil)); ok {
		p.status.LastSuccess, p.status.LastSuccessTime = newest.Name, &metav1.Time{Time: cut.Truncate(time.Second)}
	}
	if uncut != "" {
		p.status.Active = uncut
	}
}

// summarizeRuns says when the next runs start. A run that is due and could not be made is the first of them.
func (p *pass) summarizeRuns() {
	p.status.NextRun, p.status.NextRuns = nil, nil
	if !p.runs() {
		return
	}
	after := p.now.Add(-p.delay)
	if floor := p.floor(); floor.After(after) {
		after = floor
	}
	next := p.slots.NextN(after, nextRuns)
	if len(next) > 0 {
		p.wake(next[0].Add(p.delay))
	}
	if !p.pending.IsZero() {
		next = append([]time.Time{p.pending}, next...)
	}
	for _, slot := range next[:min(len(next), nextRuns)] {
		p.status.NextRuns = append(p.status.NextRuns, metav1.Time{Time: slot.Add(p.delay)})
	}
	if len(p.status.NextRuns) > 0 {
		p.status.NextRun = p.status.NextRuns[0].DeepCopy()
	}
}

func (p *pass) summarizeScheduled() {
	const kind = snapshotv1alpha1.ConditionScheduled
	before := meta.FindStatusCondition(p.status.Conditions, kind)
	switch {
	case p.slots == nil:
		p.condition(kind, metav1.ConditionFalse, ReasonInvalid, messageOf(p.invalid.ToAggregate()))
	case p.schedule.Spec.Suspend:
		p.condition(kind, metav1.ConditionFalse, ReasonSuspended, "spec.suspend is true")
	case p.refusal != nil:
		p.condition(kind, metav1.ConditionFalse, p.refusal.reason, messageOf(p.refusal.cause))
	case !p.created && before != nil && isRefusal(before.Reason) && before.ObservedGeneration == p.schedule.Generation:
		// The run that was refused is too late by now. Nothing says yet that the next one is not.
	default:
		p.condition(kind, metav1.ConditionTrue, ReasonScheduled, "runs are made when they are due")
	}
}

func isRefusal(reason string) bool {
	switch reason {
	case ReasonQuotaExceeded, ReasonNamespaceTerminating, ReasonRefused:
		return true
	default:
		return false
	}
}

func messageOf(err error) string {
	message := err.Error()
	if len(message) > longestMessage {
		message = message[:longestMessage-3] + "..."
	}
	return message
}

// overdue is when it will be time for a third run since the last restore point: two have come to nothing then. It is zero
// while there are no runs.
func (p *pass) overdue() time.Time {
	if !p.runs() {
		return time.Time{}
	}
	since := p.schedule.CreationTimestamp.Time
	for _, t := range []*metav1.Time{p.status.LastSuccessTime, p.status.ResumedTime} {
		if t != nil && t.After(since) {
			since = t.Time
		}
	}
	next := p.slots.NextN(since, 3)
	if len(next) < 3 {
		return time.Time{}
	}
	return next[2].Add(p.delay)
}
