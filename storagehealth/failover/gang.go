// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/storagehealth/candidates"
)

// evictAll evicts the members of the pod's gang that have to go too, and the pod when all of them are on their way. None goes
// before it is known that all of them may.
func (m *Mover) evictAll(ctx context.Context, job *Job, c *candidates.Candidate, t target) (reason, message string, err error) {
	if len(c.Gang)+len(c.Beside) > 0 {
		if reason, message, err = m.mayAllGo(ctx, job, c, t); reason != "" || err != nil {
			return reason, message, err
		}
	}
	for _, member := range c.Gang {
		if member.DeletionTimestamp != nil {
			continue
		}
		reason, message, err = m.evictMember(ctx, job, member)
		if err != nil || reason != Evicted {
			return ofGroup(member, reason, message, err)
		}
	}
	return m.within(c.Pod.UID, func() (string, string, error) { return m.evict(ctx, job, t, true) })
}

// ofGroup is what keeps a pod of the gang, as it is said of the candidate that stays for it.
func ofGroup(pod *corev1.Pod, reason, message string, err error) (string, string, error) {
	var refusal refusalError
	if errors.As(err, &refusal) {
		return candidates.GangWouldBreak, "pod " + pod.Name + " of its group has to stay: " + refusal.Message, nil
	}
	return reason, "pod " + pod.Name + " of its group: " + message, err
}

// mayAllGo says why one of the gang cannot go now, and nothing where all of them could a moment ago.
func (m *Mover) mayAllGo(ctx context.Context, job *Job, c *candidates.Candidate, t target) (reason, message string, err error) {
	together, err := m.together(ctx, c, t)
	if err != nil {
		return "", "", err
	}
	uids := make([]types.UID, len(together))
	for i := range together {
		uids[i] = together[i].pod.UID
	}
	if !m.budget.hasRoom(uids) {
		return m.throttledGang(len(together))
	}
	for _, other := range together[:len(together)-1] {
		reason, message, err = m.mayGo(ctx, job, other)
		if errors.Is(err, errGone) {
			continue // as good as on its way
		}
		if reason != "" || err != nil {
			return ofGroup(other.pod, reason, message, err)
		}
	}
	return m.mayGo(ctx, job, t)
}

// together are all pods of the gang that have to go and are not on their way, the candidate last.
func (m *Mover) together(ctx context.Context, c *candidates.Candidate, t target) ([]target, error) {
	var together []target
	for _, member := range c.Gang {
		if member.DeletionTimestamp != nil {
			continue
		}
		of, err := m.targetOf(ctx, member)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		together = append(together, of)
	}
	for _, beside := range c.Beside {
		if beside.Pod.DeletionTimestamp == nil {
			together = append(together, target{pod: beside.Pod, volumes: beside.Volumes, nodeDead: t.nodeDead})
		}
	}
	return append(together, t), nil
}

// targetOf looks at a member that runs elsewhere.
func (m *Mover) targetOf(ctx context.Context, member *corev1.Pod) (target, error) {
	node, err := m.readNode(ctx, member.Spec.NodeName)
	if err != nil {
		return target{}, err
	}
	volumes, err := m.resolver.Resolve(member)
	if err != nil {
		return target{}, fmt.Errorf("resolving the volumes of pod %s: %w", client.ObjectKeyFromObject(member), err)
	}
	return target{pod: member, volumes: volumes, nodeDead: dead(node)}, nil
}

// mayGo says why a pod of a gang cannot be evicted now, or nothing. It asks the API server, and changes nothing there.
func (m *Mover) mayGo(ctx context.Context, job *Job, t target) (reason, message string, err error) {
	if r, just := m.justRefused(job.key(), t.pod.UID); just {
		return DisruptionBudget, r.message, nil
	}
	mayOverride := job.has(t.pod)
	live, node, err := m.recheck(ctx, job, t)
	if err != nil || live.DeletionTimestamp != nil {
		return "", "", err
	}
	if ok, _ := proven(m.prover, node, live, t.volumes); ok && t.nodeDead && mayOverride {
		return "", "", nil // it is not evicted, but removed
	}
	if reason, message = m.wouldDouble(node, live, t); reason != "" {
		return reason, message, nil
	}
	eviction := m.evictionOf(live)
	eviction.DeleteOptions.DryRun = []string{metav1.DryRunAll}
	err = m.client.SubResource("eviction").Create(ctx, live, eviction)
	switch {
	case budgetForbids(err):
		if r := m.refused(job, live, err); !m.overrides(r, mayOverride) {
			return DisruptionBudget, r.message, nil
		}
		return "", "", nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return "", "", errGone
	case err != nil:
		return "", "", fmt.Errorf("asking whether pod %s could be evicted: %w", client.ObjectKeyFromObject(live), err)
	}
	return "", "", nil
}

// wouldDouble is why a pod on a dead node may not even be asked to leave: its controller would make another one that could
// write beside it.
func (m *Mover) wouldDouble(node *corev1.Node, live *corev1.Pod, t target) (reason, message string) {
	if !dead(node) || guarded(m.csiDrivers, live, t.volumes) {
		return "", ""
	}
	if ok, lacking := proven(m.prover, node, live, t.volumes); !ok {
		return NeedsProof, needsProof(node, live, lacking)
	}
	return "", ""
}

// evictMember evicts a member of a gang that runs elsewhere. That it is gone is as good.
func (m *Mover) evictMember(ctx context.Context, job *Job, member *corev1.Pod) (reason, message string, err error) {
	t, err := m.targetOf(ctx, member)
	if err != nil {
		return Evicted, "", client.IgnoreNotFound(err)
	}
	reason, message, err = m.within(member.UID, func() (string, string, error) { return m.evict(ctx, job, t, false) })
	if errors.Is(err, errGone) {
		return Evicted, "", nil
	}
	return reason, message, err
}
