// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/preflight"
)

// tell makes events and metrics of what a save has changed. It compares conditions, which only save changes: phases are also
// written with the journal of a freeze.
func (run *run) tell(ctx context.Context, before *snapshotv1alpha1.ApplicationSnapshot) {
	was, is := conditionOf(before, snapshotv1alpha1.ConditionReady), conditionOf(run.snapshot(), snapshotv1alpha1.ConditionReady)
	// What stood in the way may be what it failed for.
	failed := run.status().Phase == snapshotv1alpha1.PhaseFailed && before.Status.Phase != snapshotv1alpha1.PhaseFailed
	if was.Reason != is.Reason || was.Status != is.Status || failed {
		if isCutNews(before, was, is) {
			run.tellCut(ctx)
		}
		run.tellReady(ctx, was, is)
	}
	was, is = conditionOf(before, snapshotv1alpha1.ConditionThawed), conditionOf(run.snapshot(), snapshotv1alpha1.ConditionThawed)
	if is.Reason == ReasonNotThawed && was.Reason != ReasonNotThawed {
		run.event(ctx, corev1.EventTypeWarning, EventNotThawed, actionThaw, is.Message)
	}
}

func (run *run) tellReady(ctx context.Context, was, is metav1.Condition) {
	status := run.status()
	switch {
	case is.Reason == ReasonReady:
		if was.Reason != ReasonMemberLost {
			run.Metrics.ready(run.snapshot(), run.Clock.Now())
		}
		run.event(ctx, corev1.EventTypeNormal, EventReady, actionTake, is.Message)
	case status.Phase == snapshotv1alpha1.PhaseFailed:
		run.Metrics.failed(run.snapshot(), is.Reason)
		run.event(ctx, corev1.EventTypeWarning, EventFailed, actionTake, is.Reason+": "+is.Message)
	case status.Phase == snapshotv1alpha1.PhaseReady:
		run.event(ctx, corev1.EventTypeWarning, EventLost, actionTake, is.Reason+": "+is.Message)
	case is.Reason != ReasonWaiting && is.Reason != ReasonCutting && is.Reason != ReasonUploading:
		run.event(ctx, corev1.EventTypeWarning, EventPending, actionTake, is.Reason+": "+is.Message)
	}
}

// isCutNews says that the snapshot is cut, and that this was not told before.
func isCutNews(before *snapshotv1alpha1.ApplicationSnapshot, was, is metav1.Condition) bool {
	if is.Reason != ReasonUploading && is.Reason != ReasonReady {
		return false
	}
	switch was.Reason {
	case ReasonUploading, ReasonReady, ReasonMemberLost:
		return false
	case preflight.ReasonCRDsMissing:
		return before.Status.Phase == snapshotv1alpha1.PhaseCutting
	default:
		return true
	}
}

func (run *run) tellCut(ctx context.Context) {
	run.Metrics.cut(run.snapshot(), run.Clock.Now())
	run.event(ctx, corev1.EventTypeNormal, EventCut, actionTake, "every claim is cut; consistency is "+string(run.status().Consistency))
	if run.doubt != "" {
		run.event(ctx, corev1.EventTypeWarning, EventNotConsistent, actionTake, "not application-consistent: "+run.doubt)
	}
}

func (run *run) event(ctx context.Context, kind, reason, action, message string) {
	klog.FromContext(ctx).V(2).Info("A snapshot changed", "snapshot", klog.KObj(run.snapshot()), "reason", reason, "message", message)
	run.Recorder.Eventf(run.snapshot(), nil, kind, reason, action, "%s", brief(message))
}

// conditionOf is the zero condition where there is none.
func conditionOf(snapshot *snapshotv1alpha1.ApplicationSnapshot, name string) metav1.Condition {
	if found := meta.FindStatusCondition(snapshot.Status.Conditions, name); found != nil {
		return *found
	}
	return metav1.Condition{}
}
