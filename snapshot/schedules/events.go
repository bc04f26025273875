// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Reasons of events on SnapshotSchedules. One that a condition's change causes has the condition's reason.
const (
	EventCreated       = "SnapshotCreated"
	EventSkipped       = "RunSkipped"
	EventDeleted       = "SnapshotDeleted"
	EventSuspended     = "ScheduleSuspended"
	EventResumed       = "ScheduleResumed"
	EventClockWentBack = "ClockWentBack"
)

// tell says something once the status is written.
func (p *pass) tell(eventType, reason, action, note string, args ...any) {
	p.news = append(p.news, func() { p.Recorder.Eventf(p.schedule, nil, eventType, reason, action, note, args...) })
}

// condition sets a condition, and tells of it where it is bad news. That a person suspended is none.
func (p *pass) condition(kind string, status metav1.ConditionStatus, reason, message string) {
	before := meta.FindStatusCondition(p.status.Conditions, kind)
	news := status == metav1.ConditionFalse && reason != ReasonSuspended && (before == nil || before.Status != status || before.Reason != reason)
	meta.SetStatusCondition(&p.status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: p.schedule.Generation, LastTransitionTime: metav1.Time{Time: p.now},
	})
	if news {
		p.tell(corev1.EventTypeWarning, reason, actionOf(kind), "%s", message)
	}
}

func actionOf(kind string) string {
	if kind == snapshotv1alpha1.ConditionRetained {
		return "Retain"
	}
	return "Schedule"
}
