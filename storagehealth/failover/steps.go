// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/storagehealth/candidates"
)

// take takes a step, and says what the pod waits for then.
func (m *Mover) take(ctx context.Context, job *Job, c *candidates.Candidate, due step, t target) (reason, message string, err error) {
	switch due {
	case evict:
		return m.evictAll(ctx, job, c, t)
	case end:
		return m.within(c.Pod.UID, func() (string, string, error) {
			return Evicted, "was told to terminate", m.end(ctx, job, t)
		})
	case detach:
		if other := m.sharedWith(job, c); other != "" {
			return SharedVolume, "shares a volume on the node with pod " + other + ", which may not be moved", nil
		}
		return m.within(c.Pod.UID, func() (string, string, error) {
			return Detaching, "waits for its volumes to be detached from the node", m.detachVolumes(ctx, job, c, t)
		})
	case awaitDetach:
		return Detaching, "waits for its volumes to be detached from the node" + detachError(m.attachmentsOf(job, c)), nil
	case remove:
		return m.within(c.Pod.UID, func() (string, string, error) {
			return Removed, "was removed by force", m.remove(ctx, job, t)
		})
	case fail:
		return Removed, "was removed by force, and is held by finalizers: " + strings.Join(c.Pod.Finalizers, ", "), m.markFailed(ctx, job, t)
	default:
		return Evicted, "waits for the pod to terminate", nil
	}
}

// within takes a step within the budget, which is given back where the step was not taken.
func (m *Mover) within(pod types.UID, do func() (reason, message string, err error)) (reason, message string, err error) {
	undo, ok := m.budget.take(pod)
	if !ok {
		return m.throttled()
	}
	reason, message, err = do()
	if err != nil || reason == DisruptionBudget || reason == NeedsProof {
		undo()
	}
	return reason, message, err
}

func (m *Mover) throttled() (reason, message string, err error) {
	return Throttled, fmt.Sprintf("waits because %d pods were moved in this minute, the most there may be (podsPerMinute)", m.config.PodsPerMinute), nil
}

// throttledGang is about a gang that there is no room for as a whole.
func (m *Mover) throttledGang(size int) (reason, message string, err error) {
	if size > int(m.config.PodsPerMinute) {
		return Throttled, fmt.Sprintf("is never moved: %d pods of its group have to go together, and %d may be moved in a minute (podsPerMinute)",
			size, m.config.PodsPerMinute), nil
	}
	return Throttled, fmt.Sprintf("waits until %d pods of its group may be moved at once: %d may be moved in a minute (podsPerMinute)",
		size, m.config.PodsPerMinute), nil
}

// wouldMove says once for each pod what a dry run does not do.
func (m *Mover) wouldMove(job *Job, c *candidates.Candidate, due step) (reason, message string) {
	message = map[step]string{
		wait: "is terminating", evict: "would be evicted", end: "would be removed by force", fail: "is held by finalizers", detach: "would have its volumes detached from the node",
		awaitDetach: "waits for its volumes to be detached", remove: "would be removed by force",
		lackProof: "would need proof that the node can no longer write to its volumes",
	}[due]
	if m.firstTold(c.Pod.UID) {
		m.metrics.moved(job.Provisioner, methodOf(due), resultDryRun)
		m.recorder.Eventf(c.Pod, nil, corev1.EventTypeNormal, EventWouldMove, "DryRun", "Dry run: the pod %s, because %s", message, job.Cause)
	}
	return WouldMove, "dry run: " + message
}

// sharedWith names a pod that uses a volume of the pod's on the node and may not be moved.
func (m *Mover) sharedWith(job *Job, c *candidates.Candidate) string {
	for _, name := range persistentVolumes(c.Volumes, job.Provisioner) {
		for _, other := range m.sharing(job.Node, name) {
			if other.UID != c.Pod.UID && !finished(other) && !job.has(other) {
				return client.ObjectKeyFromObject(other).String()
			}
		}
	}
	return ""
}

// evict asks the pod to terminate, as far as PodDisruptionBudgets allow. Only a pod of the failed node may be deleted in
// spite of them.
func (m *Mover) evict(ctx context.Context, job *Job, t target, mayOverride bool) (reason, message string, err error) {
	if r, just := m.justRefused(job.key(), t.pod.UID); just && !m.overrides(r, mayOverride) {
		return DisruptionBudget, r.message, nil
	}
	live, node, err := m.recheck(ctx, job, t)
	if err != nil {
		return "", "", err
	}
	if live.DeletionTimestamp != nil {
		return Evicted, "waits for the pod to terminate", nil
	}
	if reason, message := m.wouldDouble(node, live, t); reason != "" {
		return reason, message, nil
	}
	err = m.client.SubResource("eviction").Create(ctx, live, m.evictionOf(live))
	if budgetForbids(err) {
		return m.forbiddenByBudget(ctx, job, t, mayOverride, err)
	}
	m.metrics.moved(job.Provisioner, methodEvict, resultOf(err))
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return "", "", errGone
	case err != nil:
		return "", "", fmt.Errorf("evicting pod %s: %w", client.ObjectKeyFromObject(live), err)
	}
	m.ask(live.UID)
	m.recorder.Eventf(live, nil, corev1.EventTypeWarning, EventEvicting, "Evict", "Evicting from node %s: %s", live.Spec.NodeName, job.Cause)
	return Evicted, "waits for the pod to terminate", nil
}

// evictionOf is what asks the API server to evict a pod that was just read.
func (m *Mover) evictionOf(live *corev1.Pod) *policyv1.Eviction {
	return &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: live.Namespace, Name: live.Name},
		DeleteOptions: &metav1.DeleteOptions{
			GracePeriodSeconds: m.grace(live),
			Preconditions:      &metav1.Preconditions{UID: &live.UID},
		},
	}
}

// budgetForbids says that a PodDisruptionBudget is in the way, and not the API server itself. A pod with more than one
// budget cannot be evicted at all, which the API server says as an internal error without a cause of its own.
func budgetForbids(err error) bool {
	if apierrors.IsTooManyRequests(err) {
		return apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause)
	}
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "more than one PodDisruptionBudget")
}

// forbiddenByBudget waits, or deletes the pod where the configuration says so and the deadline has passed.
func (m *Mover) forbiddenByBudget(ctx context.Context, job *Job, t target, mayOverride bool, cause error) (reason, message string, err error) {
	if r := m.refused(job, t.pod, cause); !m.overrides(r, mayOverride) {
		return DisruptionBudget, r.message, nil
	}
	live, _, err := m.recheck(ctx, job, t)
	if err != nil {
		return "", "", err
	}
	if err := m.delete(ctx, job, live, methodDelete, *m.grace(live)); err != nil {
		return "", "", err
	}
	m.recorder.Eventf(live, nil, corev1.EventTypeWarning, EventDeleting, "Delete",
		"Deleting from node %s, although a PodDisruptionBudget has forbidden its eviction for %s: %s", live.Spec.NodeName, m.config.PDBDeadline.Duration, job.Cause)
	return Evicted, "waits for the pod to terminate", nil
}

// delete deletes a pod that was just read, by its UID.
func (m *Mover) delete(ctx context.Context, job *Job, live *corev1.Pod, method string, grace int64) error {
	err := m.client.Delete(ctx, live, client.Preconditions{UID: &live.UID}, client.GracePeriodSeconds(grace))
	m.metrics.moved(job.Provisioner, method, resultOf(err))
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return errGone
	case err != nil:
		return fmt.Errorf("deleting pod %s with grace period %d: %w", client.ObjectKeyFromObject(live), grace, err)
	}
	m.ask(live.UID)
	return nil
}

// grace is the pod's own grace period, capped. It is never zero, which would remove the pod without asking the kubelet.
func (m *Mover) grace(pod *corev1.Pod) *int64 {
	limit := int64(m.config.GracePeriodCap.Seconds())
	return ptr.To(max(1, min(limit, ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, limit))))
}

// end tells a pod on a dead node to terminate. From then on nothing expects it to go on there.
func (m *Mover) end(ctx context.Context, job *Job, t target) error {
	live, err := m.recheckProof(ctx, job, t)
	if err != nil || live.DeletionTimestamp != nil {
		return err
	}
	if err := m.delete(ctx, job, live, methodDelete, *m.grace(live)); err != nil {
		return err
	}
	m.recorder.Eventf(live, nil, corev1.EventTypeWarning, EventDeleting, "Delete",
		"Deleting from node %s, which is not Ready and can no longer write to its volumes: %s", live.Spec.NodeName, job.Cause)
	return nil
}

// remove removes the pod from the API server without its kubelet, which is safe because the node can no longer write.
func (m *Mover) remove(ctx context.Context, job *Job, t target) error {
	live, err := m.recheckProof(ctx, job, t)
	if err != nil || removedByForce(live) {
		return err
	}
	if err := m.delete(ctx, job, live, methodForceDelete, 0); err != nil {
		return err
	}
	m.recorder.Eventf(live, nil, corev1.EventTypeWarning, EventForceDeleting, "ForceDelete",
		"Removing from node %s, which can no longer write to its volumes: %s", live.Spec.NodeName, job.Cause)
	return nil
}

// recheckProof is recheck for what needs proof.
func (m *Mover) recheckProof(ctx context.Context, job *Job, t target) (*corev1.Pod, error) {
	live, node, err := m.recheck(ctx, job, t)
	if err != nil {
		return nil, err
	}
	if ok, _ := proven(m.prover, node, live, t.volumes); !ok {
		return nil, errChanged
	}
	return live, nil
}

// markFailed ends the phase of a pod that was removed by force and is held by finalizers, as the pod garbage collector does:
// a Job replaces some of its pods only then.
func (m *Mover) markFailed(ctx context.Context, job *Job, t target) error {
	live, err := m.recheckProof(ctx, job, t)
	if err != nil || !removedByForce(live) {
		return err
	}
	failed := live.DeepCopy()
	failed.Status.Phase = corev1.PodFailed
	failed.Status.Conditions = append(slices.DeleteFunc(failed.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget }),
		corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "StorageFailover",
			Message: "Roost removed the pod: " + job.Cause, LastTransitionTime: metav1.NewTime(m.clock.Now()),
		})
	err = m.client.Status().Patch(ctx, failed, client.MergeFromWithOptions(live, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return errChanged
	}
	if err != nil {
		return fmt.Errorf("marking pod %s as failed: %w", client.ObjectKeyFromObject(live), err)
	}
	return nil
}
