// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// Reasons of the condition Restored, beside those of package restore.
const (
	ReasonInvalid          = "InvalidNewClaims"
	ReasonQueued           = "Queued"
	ReasonPopulating       = "Populating"
	ReasonRestored         = "Restored"
	ReasonDeadlineExceeded = "DeadlineExceeded"
	ReasonClaimGone        = "ClaimGone"
	ReasonCopyTaken        = "CopyTaken"
	ReasonAborted          = "Aborted"
)

// Reasons of events on SnapshotRestores.
const (
	EventRestoring     = "Restoring"
	EventWaiting       = "RestoreWaiting"
	EventRestored      = "Restored"
	EventFailed        = "RestoreFailed"
	EventAborted       = "RestoreAborted"
	EventClaimRemoved  = "RestoredClaimRemoved"
	EventClaimKept     = "RestoredClaimKept"
	EventCopyRemoved   = "SnapshotCopyRemoved"
	EventPolicyChanged = "DeletionPolicySetBack"
)

const (
	messageQueued      = "waits for its turn"
	messageWaitsForPod = "waits for its first pod"
)

const (
	maxMessage      = 1024
	maxClaimMessage = 512

	// The pause grows with the time that a restore has waited, between these.
	shortestPause = time.Second
	longestPause  = time.Minute
	// inQueue is the pause of one that is woken when it has a place.
	inQueue = 5 * time.Minute
)

// wait says what a restore waits for, and looks again in a while. What stays as it is ends the restore, and so does the
// deadline.
func (l *look) wait(ctx context.Context, problem *restore.Problem) (reconcile.Result, error) {
	waited, deadline := l.Clock.Since(l.since()), l.journal.Object.Spec.Deadline.Duration
	switch {
	case problem.Final:
		return l.fail(ctx, problem)
	case waited >= deadline:
		return l.fail(ctx, &restore.Problem{Reason: ReasonDeadlineExceeded, Message: fmt.Sprintf("not done within %s: %s", deadline, problem.Message)})
	}
	if l.status().Phase == "" {
		l.status().Phase = snapshotv1alpha1.RestorePending
	}
	before := l.reason()
	l.describe(problem.Reason, problem.Message)
	if err := l.journal.Save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	if problem.Reason != before && problem.Reason != ReasonPopulating && problem.Reason != ReasonQueued {
		l.event(corev1.EventTypeWarning, EventWaiting, "Wait", problem.Message)
	}
	return reconcile.Result{RequeueAfter: min(max(waited/4, shortestPause), longestPause, deadline-waited)}, nil
}

// queue waits for a place. That is nobody's fault, and no deadline holds for it.
func (l *look) queue(ctx context.Context) (reconcile.Result, error) {
	l.status().Phase = snapshotv1alpha1.RestorePending
	l.describe(ReasonQueued, messageQueued)
	if err := l.journal.Save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: inQueue}, nil
}

// since is when what the restore waits for began: that the claims are filled, or else that they can be.
func (l *look) since() time.Time {
	if start := l.status().StartTime; start != nil {
		return start.Time
	}
	return l.journal.Object.CreationTimestamp.Time
}

// outcome says what became of the claims of a restore that ended well.
func (l *look) outcome() string {
	text := fmt.Sprintf("restored %d claims", len(l.status().Claims))
	if waiting := l.names(restore.Unfilled); len(waiting) > 0 {
		text += "; filled as soon as their first pod has a node: " + strings.Join(waiting, ", ")
	}
	gone := l.names(func(claim *snapshotv1alpha1.RestoredClaim) bool { return claim.State == snapshotv1alpha1.ClaimFailed })
	if len(gone) > 0 {
		text += "; deleted before they were filled: " + strings.Join(gone, ", ")
	}
	return text
}

// complete ends a restore well.
func (l *look) complete(ctx context.Context) (reconcile.Result, error) {
	status := l.status()
	status.Phase = snapshotv1alpha1.RestoreCompleted
	status.CompletionTime = &metav1.MicroTime{Time: l.Clock.Now()}
	l.describe(ReasonRestored, l.outcome())
	if err := l.journal.Save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	l.ended(restore.ResultCompleted)
	l.event(corev1.EventTypeNormal, EventRestored, "Restore", status.Message)
	return l.settle(ctx)
}

// fail ends a restore that cannot be done. What it made is removed when that is written.
func (l *look) fail(ctx context.Context, problem *restore.Problem) (reconcile.Result, error) {
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		claim.State, claim.NewVolume = snapshotv1alpha1.ClaimFailed, ""
	}
	l.status().Phase = snapshotv1alpha1.RestoreFailed
	l.describe(problem.Reason, problem.Message)
	if err := l.journal.Save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	l.ended(restore.ResultFailed)
	l.event(corev1.EventTypeWarning, EventFailed, "Restore", l.status().Message)
	return l.settle(ctx)
}

// abort ends a restore that was deleted before it was done. What is filled already is the user's, and stays.
func (l *look) abort(ctx context.Context) (reconcile.Result, error) {
	made, err := l.made(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		claim.State, claim.NewVolume = snapshotv1alpha1.ClaimFailed, ""
		if object := made[claim.Name]; object != nil && object.Status.Phase == corev1.ClaimBound {
			l.keep(claim, object, "it was filled")
		}
	}
	l.status().Phase = snapshotv1alpha1.RestoreFailed
	l.describe(ReasonAborted, "the SnapshotRestore was deleted before it was done")
	if err := l.journal.Save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	l.ended(restore.ResultAborted)
	l.event(corev1.EventTypeNormal, EventAborted, "Restore", l.status().Message)
	return l.settle(ctx)
}

// ended gives the place back and counts.
func (l *look) ended(result string) {
	l.Limits.Leave(l.key)
	var took time.Duration
	if start := l.status().StartTime; start != nil {
		took = l.Clock.Since(start.Time)
	}
	l.Metrics.Ended(restore.KindNewClaims, result, took)
}

// describe puts into the status where the restore stands.
func (l *look) describe(reason, message string) {
	object := l.journal.Object
	object.Status.ObservedGeneration = object.Generation
	object.Status.Message = cut(message, maxMessage)
	condition := metav1.Condition{
		Type: snapshotv1alpha1.ConditionRestored, Status: metav1.ConditionFalse, ObservedGeneration: object.Generation,
		LastTransitionTime: metav1.NewTime(l.Clock.Now()), Reason: reason, Message: object.Status.Message,
	}
	if reason == ReasonRestored {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&object.Status.Conditions, condition)
}

// reason is that of the condition Restored.
func (l *look) reason() string {
	if condition := meta.FindStatusCondition(l.status().Conditions, snapshotv1alpha1.ConditionRestored); condition != nil {
		return condition.Reason
	}
	return ""
}

func (l *look) event(kind, reason, action, message string) {
	l.Recorder.Eventf(l.journal.Object, nil, kind, reason, action, "%s", cut(message, maxMessage))
}

// cut is as much of a message as its field holds.
func cut(message string, most int) string {
	const more = "..."
	if len(message) <= most {
		return message
	}
	end := most - len(more)
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + more
}
