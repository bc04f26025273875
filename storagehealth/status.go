// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

const (
	// maxPods and maxPodMessage are what a StorageNode's status holds.
	maxPods       = 32
	maxMessage    = 2048
	maxPodMessage = 512
)

// statusOf is what the status has to say of the finding. The times in it are those of changes, never of the look.
func (c *Controller) statusOf(object *storagev1alpha1.StorageNode, f *finding) storagev1alpha1.StorageNodeStatus {
	status := *object.Status.DeepCopy()
	status.ObservedGeneration = object.Generation
	// Another manager that came to the same verdict a moment later must not write it again, with times of its own.
	same := status.Since != nil && status.State == f.verdict.State && status.Reason == f.verdict.Reason
	if status.Since == nil || status.State != f.verdict.State {
		status.Since = microTime(f.verdict.Since)
	}
	status.State = f.verdict.State
	status.StorageState = f.verdict.Storage.String()
	status.Reason = f.verdict.Reason
	status.Volumes = int32(f.volumes)
	status.PodsAtRisk = 0
	if f.verdict.State != storagev1alpha1.HealthHealthy {
		status.PodsAtRisk = int32(f.pods)
	}
	status.Failover = c.failoverOf(object, f)
	if !same || f.verdict.Failed() || status.StorageState != object.Status.StorageState {
		status.Message = cut(c.messageOf(&status, f), maxMessage)
	}
	c.setConditions(&status, f)
	return status
}

func isFailed(state storagev1alpha1.HealthState) bool {
	return state == storagev1alpha1.HealthUnhealthy || state == storagev1alpha1.HealthFailedOver
}

// failedSince is when the node's failover became due, as the journal has it.
func failedSince(object *storagev1alpha1.StorageNode, f *finding) time.Time {
	if object.Status.Failover == nil || !isFailed(object.Status.State) {
		return f.verdict.Since
	}
	return object.Status.Failover.StartTime.Time
}

// failoverOf continues the journal of a failover, begins one, or ends it.
func (c *Controller) failoverOf(object *storagev1alpha1.StorageNode, f *finding) *storagev1alpha1.Failover {
	last := object.Status.Failover.DeepCopy()
	now := microTime(c.clock.Now())
	if !f.verdict.Failed() {
		if last != nil && last.CompletionTime == nil {
			last.CompletionTime = now
		}
		if last != nil {
			last.Pods, last.Refused = nil, 0
		}
		return last
	}
	if last == nil || !isFailed(object.Status.State) {
		last = &storagev1alpha1.Failover{StartTime: *microTime(f.verdict.Since), DryRun: c.dryRun}
	}
	last.DryRun = c.dryRun
	last.Moved += int32(len(c.ledger.gone(keyOf(object), last, f)))
	last.Pods, last.Refused = podsOn(f)
	if f.verdict.State != storagev1alpha1.HealthFailedOver {
		last.CompletionTime = nil
	} else if last.CompletionTime == nil {
		last.CompletionTime = now
	}
	return last
}

// podsOn lists the pods that are still on the node, those first that nothing is being done about, and counts those.
func podsOn(f *finding) (pods []storagev1alpha1.PodOnNode, refused int32) {
	var moving []storagev1alpha1.PodOnNode
	for i := range f.candidates {
		pod := f.candidates[i].Pod
		reason, message := f.standing(&f.candidates[i])
		if reason == "" {
			continue
		}
		entry := storagev1alpha1.PodOnNode{
			Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Reason: reason, Message: cut(message, maxPodMessage),
		}
		if isMoving(reason) {
			moving = append(moving, entry)
		} else {
			pods = append(pods, entry)
		}
	}
	refused = int32(len(pods))
	pods = append(pods, moving...)
	return pods[:min(len(pods), maxPods)], refused
}

// standing is why the pod is still on the node, empty where it is gone meanwhile.
func (f *finding) standing(candidate *candidates.Candidate) (reason, message string) {
	if !candidate.Movable() {
		return candidate.Refusal.Reason, candidate.Refusal.Message
	}
	if f.brake != nil {
		return failover.Braked, f.brake.Message
	}
	for i := range f.progress {
		if f.progress[i].Pod.UID == candidate.Pod.UID {
			return f.progress[i].Reason, f.progress[i].Message
		}
	}
	if !f.acted {
		return failover.Due, "is about to be moved away"
	}
	return "", ""
}

// isMoving says that a pod is on its way, and nothing is in the way.
func isMoving(reason string) bool {
	return reason == failover.Due || reason == failover.Evicted || reason == failover.Detaching || reason == failover.Removed
}

// messageOf tells a person what happened and what comes next, in sentences.
func (c *Controller) messageOf(status *storagev1alpha1.StorageNodeStatus, f *finding) string {
	parts := []string{sentence(f.verdict.Message)}
	if !f.verdict.Failed() {
		return parts[0]
	}
	moving := f.moving()
	switch {
	case f.brake != nil:
		parts = append(parts, "No pod is moved away: "+sentence(f.brake.Message))
	case c.dryRun && f.movable() > 0:
		parts = append(parts, fmt.Sprintf("Dry run: would move %s.", count(f.movable(), "pod", "pods")))
	case moving > 0:
		parts = append(parts, fmt.Sprintf("Moving %s away.", count(moving, "pod", "pods")))
	case f.movable() > 0:
	case f.detaching > 0:
		parts = append(parts, fmt.Sprintf("Its pods are gone, and %s still being detached from it.", count(f.detaching, "volume is", "volumes are")))
	case len(f.candidates) > 0:
		parts = append(parts, "Every pod that can run elsewhere was moved away.")
	default:
		parts = append(parts, "No pod with its volumes is left on the node.")
	}
	if f.brake == nil && status.Failover.Refused > 0 {
		parts = append(parts, fmt.Sprintf("%s: %s.", count(int(status.Failover.Refused), "pod stays", "pods stay"), reasons(f)))
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// sentence ends a text with a full stop.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// reasons counts the pods that are left by reason, the most frequent first.
func reasons(f *finding) string {
	counts := map[string]int{}
	for i := range f.candidates {
		if reason, _ := f.standing(&f.candidates[i]); reason != "" && !isMoving(reason) {
			counts[reason]++
		}
	}
	var texts []string
	for reason, n := range counts {
		texts = append(texts, fmt.Sprintf("%d %s", n, reason))
	}
	slices.SortFunc(texts, func(a, b string) int { return strings.Compare(b, a) })
	return strings.Join(texts, ", ")
}

func (c *Controller) setConditions(status *storagev1alpha1.StorageNodeStatus, f *finding) {
	now := metav1.NewTime(c.clock.Now())
	set := func(kind string, is bool, reason, message string) {
		condition := metav1.Condition{
			Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message,
			ObservedGeneration: status.ObservedGeneration, LastTransitionTime: now,
		}
		if is {
			condition.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	if f.verdict.Storage == drivers.Unknown {
		set(storagev1alpha1.ConditionReporting, false, "Silent", "nothing is known of the storage at the moment, and silence moves no pod")
	} else {
		set(storagev1alpha1.ConditionReporting, true, "Reporting", "")
	}
	if brake := c.brakeOf(f); brake != nil {
		set(storagev1alpha1.ConditionBraked, true, brake.Reason, brake.Message)
	} else if meta.IsStatusConditionTrue(status.Conditions, storagev1alpha1.ConditionBraked) && (f.acted || f.movable() == 0) {
		set(storagev1alpha1.ConditionBraked, false, "Released", "")
	}
}

// brakeOf is what keeps all pods on the node, or those for which there is no room in the budget of the minute. How many they
// are is in the message of the status: a condition has no numbers that change.
func (c *Controller) brakeOf(f *finding) *verdict.Brake {
	if f.brake != nil || f.throttled() == 0 {
		return f.brake
	}
	return &verdict.Brake{Reason: failover.Throttled, Message: fmt.Sprintf(
		"Some pods wait, because no more than %d may be moved in a minute (podsPerMinute).", c.podsPerMinute)}
}

// causeOf is what events on pods say.
func causeOf(key verdict.Key, v verdict.Verdict) string {
	return strings.TrimSpace(fmt.Sprintf("the storage of %s failed on node %s. %s", key.Provisioner, key.Node, v.Message))
}

func microTime(t time.Time) *metav1.MicroTime {
	if t.IsZero() {
		return nil
	}
	return &metav1.MicroTime{Time: t.UTC().Truncate(time.Microsecond)}
}

func objectKey(name string) types.NamespacedName { return types.NamespacedName{Name: name} }

// cut keeps a text within what the API holds.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-3], "") + "..."
}
