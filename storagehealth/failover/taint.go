// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/storagehealth/candidates"
)

// TaintValue marks the out-of-service taint as ours to remove.
const TaintValue = "roost"

// outOfService tells attach-detach that the node is out. It looks at the key alone, while the effect NoExecute would also
// evict every pod that does not tolerate it, those of DaemonSets among them.
var outOfService = corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: TaintValue, Effect: corev1.TaintEffectNoSchedule}

func isOurs(taint corev1.Taint) bool {
	return taint.Key == outOfService.Key && taint.Value == outOfService.Value
}

// HasOurTaint says that the node has the out-of-service taint from us.
func HasOurTaint(node *corev1.Node) bool { return slices.ContainsFunc(node.Spec.Taints, isOurs) }

func isOutOfService(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == outOfService.Key })
}

// settleTaint says whether the node is out as a whole and attach-detach knows it. While there is work it puts our taint on
// where it has to, and takes it off at once where it does not hold any more.
func (m *Mover) settleTaint(ctx context.Context, job *Job, node *corev1.Node, work bool) (bool, error) {
	if !work {
		return false, m.untaint(ctx, node)
	}
	silent, err := m.writesNothing(ctx, job, node)
	switch {
	case err != nil:
		return false, err
	case !silent:
		return false, m.untaint(ctx, node)
	case isOutOfService(node):
		return true, nil
	}
	err = m.taint(ctx, job, node)
	var brake brakeError
	if errors.As(err, &brake) || apierrors.IsConflict(err) {
		return false, nil
	}
	return err == nil, err
}

// writesNothing says whether the dead node can write to no volume at all: not one that is attached to it, and not one that
// a pod on it uses. Nor may a pod be ending there that is not ours to remove, because the pod garbage collector would
// remove it for the taint.
func (m *Mover) writesNothing(ctx context.Context, job *Job, node *corev1.Node) (bool, error) {
	for _, attachment := range m.attachmentsOn(node.Name) {
		if name := attachment.Spec.Source.PersistentVolumeName; name == nil || !m.provenByName(node, *name) {
			return false, nil
		}
	}
	var pods corev1.PodList
	if err := m.client.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return false, fmt.Errorf("listing the pods on node %s: %w", node.Name, err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if finished(pod) {
			continue
		}
		if harmless, err := m.isHarmless(job, node, pod); err != nil || !harmless {
			return false, err
		}
	}
	return true, nil
}

// isHarmless says that the pod on the dead node can write nowhere, and that nobody but us would remove it for the taint.
func (m *Mover) isHarmless(job *Job, node *corev1.Node, pod *corev1.Pod) (bool, error) {
	if pod.DeletionTimestamp != nil && !job.has(pod) && !m.wasAsked(pod.UID) {
		return false, nil
	}
	volumes, err := m.resolver.Resolve(pod)
	if err != nil {
		return false, fmt.Errorf("resolving the volumes of pod %s: %w", client.ObjectKeyFromObject(pod), err)
	}
	ok, _ := proven(m.prover, node, pod, volumes)
	return ok, nil
}

func (m *Mover) provenByName(node *corev1.Node, persistentVolume string) bool {
	pv, err := m.resolver.PVs.Get(persistentVolume)
	return err == nil && provenVolume(m.prover, node, pv)
}

// taint puts the out-of-service taint on the node, which must be the one just read. It is refused where the node changed.
func (m *Mover) taint(ctx context.Context, job *Job, node *corev1.Node) error {
	var provisioners []string
	for _, attachment := range m.attachmentsOn(node.Name) {
		provisioners = append(provisioners, attachment.Spec.Attacher)
	}
	if brake, may := job.MayMove(node.Name, provisioners); !may {
		return brakeError{brake: brake}
	}
	tainted := node.DeepCopy()
	tainted.Spec.Taints = append(tainted.Spec.Taints, outOfService)
	if err := m.client.Patch(ctx, tainted, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("tainting node %s as out of service: %w", node.Name, err)
	}
	m.recorder.Eventf(node, nil, corev1.EventTypeWarning, EventTainted, "Taint",
		"Tainted as out of service, because it can write to no volume any more, so that its volumes are detached at once: %s", job.Cause)
	return nil
}

// Untaint removes our out-of-service taint from a node that it does not belong on. moving says that pods may be moved away
// from the node: then it stays as long as the node is dead, and Advance settles it.
func (m *Mover) Untaint(ctx context.Context, name string, moving bool) error {
	node, err := m.readNode(ctx, name)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if moving && m.mayTaint(node) {
		return nil
	}
	return m.untaint(ctx, node)
}

// mayTaint says that the node is dead and this is no dry run. On a node that is Ready, attach-detach would take for the
// taint's sake any volume away whose pod has ended, though the node has it mounted; a dry run does not look whether the taint
// still holds.
func (m *Mover) mayTaint(node *corev1.Node) bool {
	return dead(node) && m.config.Mode != managerv1alpha1.DryRun
}

// untaint removes our out-of-service taint, where there is one, from the node as it was just read.
func (m *Mover) untaint(ctx context.Context, node *corev1.Node) error {
	if !HasOurTaint(node) {
		return nil
	}
	clean := node.DeepCopy()
	clean.Spec.Taints = slices.DeleteFunc(clean.Spec.Taints, isOurs)
	if err := m.client.Patch(ctx, clean, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("removing our out-of-service taint from node %s: %w", node.Name, err)
	}
	m.recorder.Eventf(node, nil, corev1.EventTypeNormal, EventUntainted, "Untaint", "Removed the out-of-service taint that Roost had put on")
	return nil
}

func (job *Job) has(pod *corev1.Pod) bool {
	return slices.ContainsFunc(job.Candidates, func(c candidates.Candidate) bool { return c.Movable() && c.Pod.UID == pod.UID })
}

// persistentVolumes are the names of the PersistentVolumes behind the volumes, of one CSI driver.
func persistentVolumes(volumes []podvolumes.Volume, provisioner string) []string {
	var names []string
	for i := range volumes {
		if volumes[i].PV != nil && volumes[i].ID.Provisioner == provisioner {
			names = append(names, volumes[i].PV.Name)
		}
	}
	return names
}
