// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// selectedNode is what the scheduler writes onto a claim whose first pod has a node.
const selectedNode = "volume.kubernetes.io/selected-node"

// made are the claims that this restore made, by name, as the API server has them. A claim of another UID than the journal's
// is somebody else's, whatever its labels say.
func (l *look) made(ctx context.Context) (map[string]*corev1.PersistentVolumeClaim, error) {
	var list corev1.PersistentVolumeClaimList
	err := l.Client.List(ctx, &list, client.InNamespace(l.key.Namespace), client.MatchingLabels{snapshotv1alpha1.LabelRestore: string(l.uid())})
	if err != nil {
		return nil, fmt.Errorf("listing the claims of the SnapshotRestore %s: %w", l.key, err)
	}
	journaled := map[string]*snapshotv1alpha1.RestoredClaim{}
	for i := range l.status().Claims {
		journaled[l.status().Claims[i].Name] = &l.status().Claims[i]
	}
	made := map[string]*corev1.PersistentVolumeClaim{}
	for i := range list.Items {
		object := &list.Items[i]
		claim := journaled[object.Name]
		if claim != nil && (claim.UID == "" || claim.UID == object.UID) && restore.Made(object, l.uid(), claim.VolumeSnapshotName) {
			made[object.Name] = object
		}
	}
	return made, nil
}

// discard deletes the claims that a failed restore made, and returns those that are not gone yet. One that a pod uses or has
// used is kept, and from then on is nobody's but the user's.
func (l *look) discard(ctx context.Context) (sets.Set[string], error) {
	left := sets.New[string]()
	made, err := l.made(ctx)
	if err != nil || len(made) == 0 {
		return left, err
	}
	users, err := l.users(ctx)
	if err != nil {
		return left, err
	}
	for i := range l.status().Claims {
		claim := &l.status().Claims[i]
		object := made[claim.Name]
		if object == nil || claim.State == snapshotv1alpha1.ClaimRestored {
			continue
		}
		if why := inUse(object, users[claim.Name]); why != "" && object.DeletionTimestamp == nil {
			l.keep(claim, object, why)
			l.event(corev1.EventTypeWarning, EventClaimKept, "Keep", "the claim "+claim.Name+" is kept: "+why)
			continue
		}
		left.Insert(claim.Name)
		if object.DeletionTimestamp != nil {
			continue
		}
		if err := l.remove(ctx, object); err != nil {
			return left, err
		}
	}
	return left, nil
}

// users are the pods of the namespace by the claims that they name, as the API server has them. One that has ended counts: it
// may have written.
func (l *look) users(ctx context.Context) (map[string]string, error) {
	var pods corev1.PodList
	if err := l.Client.List(ctx, &pods, client.InNamespace(l.key.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", l.key.Namespace, err)
	}
	users := map[string]string{}
	for i := range pods.Items {
		for _, volume := range pods.Items[i].Spec.Volumes {
			if source := volume.PersistentVolumeClaim; source != nil {
				users[source.ClaimName] = pods.Items[i].Name
			}
		}
	}
	return users, nil
}

// inUse is why a claim must not be deleted, or empty. A claim that waited for a pod is bound only when it had one.
func inUse(object *corev1.PersistentVolumeClaim, pod string) string {
	switch {
	case pod != "":
		return "the pod " + pod + " uses it"
	case object.Status.Phase == corev1.ClaimBound && object.Annotations[selectedNode] != "":
		return "a pod has used it"
	}
	return ""
}

// keep writes down that a claim stays.
func (l *look) keep(claim *snapshotv1alpha1.RestoredClaim, object *corev1.PersistentVolumeClaim, why string) {
	claim.State, claim.UID, claim.Message = snapshotv1alpha1.ClaimRestored, object.UID, cut("kept: "+why, maxClaimMessage)
	if object.Status.Phase == corev1.ClaimBound {
		claim.NewVolume = object.Spec.VolumeName
	}
}

// remove deletes a claim as it was read, and no other. One that changed meanwhile is read again.
func (l *look) remove(ctx context.Context, object *corev1.PersistentVolumeClaim) error {
	err := l.Client.Delete(ctx, object, client.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil
	case err != nil:
		return fmt.Errorf("deleting the claim %s: %w", client.ObjectKeyFromObject(object), err)
	}
	klog.FromContext(ctx).V(2).Info("Removed a claim of a restore that failed", "claim", klog.KObj(object), "uid", object.UID)
	l.event(corev1.EventTypeNormal, EventClaimRemoved, "Remove", "removed the claim "+object.Name+", which the restore had made")
	return nil
}
