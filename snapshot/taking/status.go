// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
)

const (
	// DefaultCutDeadline is that of the API, for objects that it has not filled in.
	DefaultCutDeadline = 5 * time.Minute
	// DefaultReadyDeadline is that of the API, for objects that it has not filled in.
	DefaultReadyDeadline = 24 * time.Hour

	maxMessage       = 1000
	maxMemberMessage = 500
)

// say sets condition Ready and the message. It is written by the next save.
func (run *run) say(ready bool, reason, message string) {
	run.status().Message = brief(message)
	run.condition(snapshotv1alpha1.ConditionReady, ready, reason, brief(message))
}

func (run *run) condition(name string, holds bool, reason, message string) {
	value := metav1.ConditionFalse
	if holds {
		value = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&run.status().Conditions, metav1.Condition{
		Type: name, Status: value, Reason: reason, Message: message,
		ObservedGeneration: run.snapshot().Generation, LastTransitionTime: metav1.NewTime(run.Clock.Now()),
	})
}

// save derives what follows from the rest, writes the status if it is another one, and then tells of it.
func (run *run) save(ctx context.Context) error {
	run.derive()
	before := run.j.Before().DeepCopy()
	if err := run.j.Save(ctx); err != nil {
		return lastingly(err)
	}
	run.tell(ctx, before)
	return nil
}

func (run *run) derive() {
	status := run.status()
	status.ObservedGeneration = run.snapshot().Generation
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = run.snapshot().Generation
	}
	if len(status.Members) > 0 {
		status.Ready = fmt.Sprintf("%d/%d", count(status, isReady), len(status.Members))
		run.deriveComplete()
	}
	if freeze := status.Freeze; freeze != nil {
		switch freeze.State {
		case snapshotv1alpha1.Thawed:
			run.condition(snapshotv1alpha1.ConditionThawed, true, ReasonThawed, "nothing is frozen")
		case snapshotv1alpha1.NotThawed:
			run.condition(snapshotv1alpha1.ConditionThawed, false, ReasonNotThawed, brief("thaw commands failed, look at these pods: "+notThawed(freeze)))
		default:
			run.condition(snapshotv1alpha1.ConditionThawed, false, ReasonFrozen, "pods may be frozen")
		}
	} else {
		// A freeze that was refused before it began leaves nothing to say.
		meta.RemoveStatusCondition(&status.Conditions, snapshotv1alpha1.ConditionThawed)
	}
}

func (run *run) deriveComplete() {
	status := run.status()
	switch {
	case count(status, isFailed) > 0 || status.Phase == snapshotv1alpha1.PhaseReady && !all(status, isReady):
		run.condition(snapshotv1alpha1.ConditionComplete, false, ReasonIncomplete, brief(run.unfinished("has no snapshot")))
	case status.Phase == snapshotv1alpha1.PhaseReady:
		run.condition(snapshotv1alpha1.ConditionComplete, true, ReasonComplete, "every claim has a snapshot")
	}
}

func notThawed(freeze *snapshotv1alpha1.Freeze) string {
	var names []string
	for i := range freeze.Pods {
		if pod := &freeze.Pods[i]; pod.State == snapshotv1alpha1.PodNotThawed {
			names = append(names, fmt.Sprintf("%s (hook %s: %s)", pod.Name, pod.Hook, pod.Error))
		}
	}
	return strings.Join(names, ", ")
}

// unfinished names the members that are not ready, each with its own message or, where it has none, with what.
func (run *run) unfinished(what string) string {
	var texts []string
	for i := range run.status().Members {
		member := &run.status().Members[i]
		if isReady(member) {
			continue
		}
		message := member.Message
		if message == "" {
			message = what
		}
		texts = append(texts, "claim "+member.ClaimName+": "+message)
	}
	if len(texts) == 0 {
		return what
	}
	return strings.Join(texts, "; ")
}

// doomed says why the whole cannot succeed any more: a member failed, or in mode BestEffort all have.
func doomed(snapshot *snapshotv1alpha1.ApplicationSnapshot) string {
	var texts []string
	for i := range snapshot.Status.Members {
		if member := &snapshot.Status.Members[i]; isFailed(member) {
			texts = append(texts, "claim "+member.ClaimName+": "+member.Message)
		}
	}
	if snapshot.Spec.Mode == snapshotv1alpha1.ModeBestEffort && len(texts) < len(snapshot.Status.Members) {
		return ""
	}
	return strings.Join(texts, "; ")
}

// progress is a text with what the storage system said last, if it said something.
func progress(status *snapshotv1alpha1.ApplicationSnapshotStatus, text string) string {
	for i := range status.Members {
		if member := &status.Members[i]; member.Message != "" && !isFailed(member) {
			return text + "; claim " + member.ClaimName + ": " + member.Message
		}
	}
	return text
}

// enterCut enters that every member that did not fail is cut.
func enterCut(status *snapshotv1alpha1.ApplicationSnapshotStatus, consistency snapshotv1alpha1.Consistency) {
	status.Phase, status.Consistency = snapshotv1alpha1.PhaseUploading, consistency
	for i := range status.Members {
		member := &status.Members[i]
		if isCut(member) && (status.CutTime == nil || status.CutTime.Before(member.CutTime)) {
			status.CutTime = member.CutTime.DeepCopy()
		}
	}
}

// unfrozen is what a snapshot is worth whose application may have written meanwhile. That of a restore in place is taken while
// nothing runs.
func unfrozen(snapshot *snapshotv1alpha1.ApplicationSnapshot) snapshotv1alpha1.Consistency {
	stopped := snapshot.Labels[snapshotv1alpha1.LabelRestore] != ""
	if stopped || snapshot.Spec.Mode == snapshotv1alpha1.ModeGroup || len(snapshot.Status.Members) == 1 {
		return snapshotv1alpha1.ConsistencyCrash
	}
	return snapshotv1alpha1.ConsistencyUnknown
}

func isFailed(member *snapshotv1alpha1.SnapshotMember) bool {
	return member.State == snapshotv1alpha1.MemberFailed
}

func isReady(member *snapshotv1alpha1.SnapshotMember) bool {
	return member.State == snapshotv1alpha1.MemberReady
}

func isCut(member *snapshotv1alpha1.SnapshotMember) bool {
	return isReady(member) || member.State == snapshotv1alpha1.MemberCut
}

// all says that every member that did not fail is so.
func all(status *snapshotv1alpha1.ApplicationSnapshotStatus, is func(*snapshotv1alpha1.SnapshotMember) bool) bool {
	return count(status, is)+count(status, isFailed) == len(status.Members)
}

func count(status *snapshotv1alpha1.ApplicationSnapshotStatus, is func(*snapshotv1alpha1.SnapshotMember) bool) int {
	n := 0
	for i := range status.Members {
		if is(&status.Members[i]) {
			n++
		}
	}
	return n
}

func cutDeadline(snapshot *snapshotv1alpha1.ApplicationSnapshot) time.Duration {
	if snapshot.Spec.CutDeadline.Duration <= 0 {
		return DefaultCutDeadline
	}
	return snapshot.Spec.CutDeadline.Duration
}

func readyDeadline(snapshot *snapshotv1alpha1.ApplicationSnapshot) time.Duration {
	if snapshot.Spec.ReadyDeadline.Duration <= 0 {
		return DefaultReadyDeadline
	}
	return snapshot.Spec.ReadyDeadline.Duration
}

// readyUntil counts from the cut. A storage system whose clock is far behind gives no less time: it was not cut before it was
// asked.
func readyUntil(snapshot *snapshotv1alpha1.ApplicationSnapshot) time.Time {
	from := snapshot.Status.StartTime.Time
	if at := snapshot.Status.CutTime; at != nil && at.After(from) {
		from = at.Time
	}
	return from.Add(readyDeadline(snapshot))
}

// lasting keeps what the storage system said last behind what it came to.
func lasting(message, before string) string {
	if before == "" {
		return message
	}
	return journal.Cut(message+": "+before, maxMemberMessage)
}

func brief(message string) string { return journal.Cut(message, maxMessage) }
