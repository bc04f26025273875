// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

// Reasons of events on StorageNodes. What happens to pods has those of packages failover and candidates.
const (
	EventUnhealthy  = "StorageUnhealthy"
	EventFailedOver = "StorageFailedOver"
	EventRecovering = "StorageRecovering"
	EventHealthy    = "StorageHealthy"
	EventBraked     = "StorageFailoverBraked"
	EventReleased   = "StorageFailoverReleased"
	EventSilent     = "StorageSilent"
)

// told remembers what was said of each pod, so that it is said once.
type told struct {
	mu      sync.Mutex
	reasons map[types.UID]string
}

func newTold() *told { return &told{reasons: map[types.UID]string{}} }

// first says that the reason was not given for the pod last time.
func (t *told) first(pod types.UID, reason string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reasons[pod] == reason {
		return false
	}
	t.reasons[pod] = reason
	return true
}

func (t *told) forget(pod types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.reasons, pod)
}

// tell says what a written status changed.
func (c *Controller) tell(ctx context.Context, before, after *storagev1alpha1.StorageNode, f *finding) {
	key := keyOf(after)
	c.ledger.written(key, before.Status.Failover, after.Status.Failover, f)
	if from, to := before.Status.State, after.Status.State; from != "" && from != to {
		klog.FromContext(ctx).Info("Verdict changed", "provisioner", key.Provisioner, "node", klog.KRef("", key.Node),
			"from", from, "to", to, "message", after.Status.Message)
		c.tellState(after, from)
	}
	c.tellConditions(before, after)
	if over := after.Status.Failover; f.verdict.State == storagev1alpha1.HealthFailedOver &&
		before.Status.State != storagev1alpha1.HealthFailedOver && over != nil && over.CompletionTime != nil {
		c.metrics.completed(key.Provisioner, over.CompletionTime.Sub(f.verdict.FailingSince))
	}
}

func (c *Controller) tellState(after *storagev1alpha1.StorageNode, from storagev1alpha1.HealthState) {
	kind, reason := corev1.EventTypeNormal, ""
	switch after.Status.State {
	case storagev1alpha1.HealthUnhealthy:
		kind, reason = corev1.EventTypeWarning, EventUnhealthy
	case storagev1alpha1.HealthFailedOver:
		reason = EventFailedOver
	case storagev1alpha1.HealthRecovering:
		reason = EventRecovering
	case storagev1alpha1.HealthHealthy:
		if from == storagev1alpha1.HealthRecovering {
			reason = EventHealthy
		}
	case storagev1alpha1.HealthSuspect:
	}
	if reason != "" {
		c.recorder.Eventf(after, nil, kind, reason, "Judge", "%s is %s on node %s. %s",
			after.Spec.Provisioner, after.Status.State, after.Spec.NodeName, after.Status.Message)
	}
}

func (c *Controller) tellConditions(before, after *storagev1alpha1.StorageNode) {
	was := meta.IsStatusConditionTrue(before.Status.Conditions, storagev1alpha1.ConditionBraked)
	braked := meta.FindStatusCondition(after.Status.Conditions, storagev1alpha1.ConditionBraked)
	is := meta.IsStatusConditionTrue(after.Status.Conditions, storagev1alpha1.ConditionBraked)
	last := meta.FindStatusCondition(before.Status.Conditions, storagev1alpha1.ConditionBraked)
	switch {
	case is && (!was || last.Reason != braked.Reason):
		which := "No pod is"
		if braked.Reason == failover.Throttled {
			which = "Not all pods are"
		}
		c.recorder.Eventf(after, nil, corev1.EventTypeWarning, EventBraked, "Brake", "%s moved away from node %s: %s", which, after.Spec.NodeName, braked.Message)
	case was && !is:
		c.recorder.Eventf(after, nil, corev1.EventTypeNormal, EventReleased, "Release", "Pods may be moved away from node %s again", after.Spec.NodeName)
	}
	spoke := meta.IsStatusConditionTrue(before.Status.Conditions, storagev1alpha1.ConditionReporting)
	if spoke && meta.IsStatusConditionFalse(after.Status.Conditions, storagev1alpha1.ConditionReporting) &&
		!c.allSilent(after.Spec.Provisioner) {
		c.recorder.Eventf(after, nil, corev1.EventTypeWarning, EventSilent, "Listen",
			"%s says nothing of node %s any more; silence moves no pod", after.Spec.Provisioner, after.Spec.NodeName)
	}
}

// allSilent says that the storage system says nothing of any node. That is logged and in a metric, rather than an event a
// node.
func (c *Controller) allSilent(provisioner string) bool {
	return slices.ContainsFunc(c.board.Brakes(provisioner), func(b verdict.Brake) bool { return b.Reason == verdict.ReasonStorageSilent })
}

// tellPods says of each pod that stays on the node why, once.
func (c *Controller) tellPods(key verdict.Key, f *finding) {
	if f.brake != nil {
		return // the StorageNode's event says it for all
	}
	for i := range f.candidates {
		pod := f.candidates[i].Pod
		reason, message := f.standing(&f.candidates[i])
		// Throttled comes of many pods at once, and the StorageNode's event says it for all of them.
		if reason == "" || reason == failover.WouldMove || reason == failover.Throttled || isMoving(reason) || !c.told.first(pod.UID, reason) {
			continue
		}
		c.recorder.Eventf(pod, nil, corev1.EventTypeWarning, reason, "StayOnNode",
			"Not moved away from node %s, where the storage of %s failed: %s", key.Node, key.Provisioner, message)
	}
}
