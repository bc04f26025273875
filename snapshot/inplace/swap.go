// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
	"roost.dev/roost/snapshot/workloads"
)

// beginSwap writes down the claims as they are now. From then on they may be deleted.
func (p *procedure) beginSwap(ctx context.Context) error {
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
		if err != nil {
			return err
		}
		if claim == nil || claim.UID != planned.OldUID {
			return problemf(ReasonClaim, "claim %s was deleted or made anew since the restore began", planned.Name)
		}
		if planned.Manifest, err = manifestOf(claim); err != nil {
			return err
		}
		for _, name := range []string{planned.OldVolume, planned.NewVolume} {
			if _, err := p.keepBack(ctx, name); err != nil {
				return err
			}
		}
	}
	for i := range p.status().Claims {
		p.status().Claims[i].State = snapshotv1alpha1.ClaimSwapping
	}
	return p.enter(ctx, snapshotv1alpha1.RestoreSwapping, ReasonSwapping, "giving the claims their new volumes")
}

// swap gives every claim its new volume.
func (p *procedure) swap(ctx context.Context) (outcome, error) {
	waits, err := p.exchangeAll(ctx, forward, snapshotv1alpha1.ClaimSwapping, snapshotv1alpha1.ClaimRestored)
	if err != nil || waits != "" {
		return p.waitOr(ctx, waits, err)
	}
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreStarting, ReasonStarting, "the claims have their new volumes: starting %s", p.workloadNames())
}

// direction is which volume a claim has, and which it gets.
type direction func(*snapshotv1alpha1.RestoredClaim) (from, to string)

func forward(c *snapshotv1alpha1.RestoredClaim) (from, to string)  { return c.OldVolume, c.NewVolume }
func backward(c *snapshotv1alpha1.RestoredClaim) (from, to string) { return c.NewVolume, c.OldVolume }

// exchangeAll exchanges the volumes of the claims in one state, which are in the other one then, and says what is to be
// waited for.
func (p *procedure) exchangeAll(ctx context.Context, way direction, in, then snapshotv1alpha1.ClaimState) (string, error) {
	var waits string
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		if planned.State != in {
			continue
		}
		claim, wait, err := p.exchange(ctx, planned, way)
		if err != nil {
			return "", err
		}
		planned.Message = cut(wait, 512)
		if wait != "" {
			waits = wait
			continue
		}
		planned.State = then
		if claim.UID != planned.UID && claim.UID != planned.OldUID {
			// oldUID is the claim's before the exchange, whichever way that went.
			if planned.UID != "" {
				planned.OldUID = planned.UID
			}
			planned.UID = claim.UID
		}
		if err := p.save(ctx); err != nil {
			return "", err
		}
	}
	if waits == "" {
		return "", nil
	}
	return p.noteWaiting(ctx, waits)
}

// exchange gives a claim the other volume. It returns the claim once it has it, or else says what is to be waited for. Each
// call looks at how things are and does the next thing, so that it can be repeated after a crash.
func (p *procedure) exchange(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, way direction) (*corev1.PersistentVolumeClaim, string, error) {
	from, to := way(planned)
	claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
	switch {
	case err != nil:
		return nil, "", err
	case claim == nil:
	case claim.Spec.VolumeName == to && !claim.DeletionTimestamp.IsZero():
		return nil, fmt.Sprintf("waiting for claim %s to be gone: somebody deleted it", claim.Name), nil
	case claim.Spec.VolumeName == to && claim.Status.Phase == corev1.ClaimBound:
		return claim, "", p.adopt(ctx, claim, planned)
	case claim.Spec.VolumeName == to:
		return nil, fmt.Sprintf("waiting for claim %s to be bound to volume %s", claim.Name, to), nil
	case !p.ours(claim, planned, from):
		return nil, fmt.Sprintf("claim %s was made by somebody else while its volume changed: delete it to go on, nothing of it is used", claim.Name), nil
	}
	target, wait, err := p.ready(ctx, planned, to)
	switch {
	case err != nil || wait != "":
	case claim != nil:
		wait, err = p.remove(ctx, claim, from)
	default:
		wait, err = p.makeAgain(ctx, planned, target)
	}
	return nil, wait, err
}

// makeAgain makes the claim with the volume.
func (p *procedure) makeAgain(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, volume *corev1.PersistentVolume) (string, error) {
	made, err := claimFrom(planned, volume, p.restore().Name)
	if err != nil {
		return "", err
	}
	err = p.Client.Create(ctx, made)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return "", problemf(restore.ReasonNamespaceTerminates, "claim %s cannot be made again: the namespace is being deleted", made.Name)
	}
	if why := refusal(err, made.Name); why != "" {
		return why, nil
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("making claim %s again: %w", made.Name, err)
	}
	return fmt.Sprintf("waiting for claim %s to be bound to volume %s", made.Name, volume.Name), nil
}

// refusal is why the API server does not have a claim made, in words. It is waited for, whatever it is: there is no other way.
func refusal(err error, claim string) string {
	if problem := restore.Refused(err, "claim "+claim+" cannot be made again"); problem != nil {
		return problem.Message
	}
	return ""
}

// adopt completes a claim that somebody else made, a StatefulSet as a rule, and that Kubernetes bound to the volume which waited for
// one of that name. It has the volume, but may lack what the claim had of labels, annotations and owners.
func (p *procedure) adopt(ctx context.Context, claim *corev1.PersistentVolumeClaim, planned *snapshotv1alpha1.RestoredClaim) error {
	if claim.Annotations[snapshotv1alpha1.AnnotationRestoring] == p.restore().Name {
		return nil
	}
	was := &corev1.PersistentVolumeClaim{}
	if err := json.Unmarshal([]byte(planned.Manifest), was); err != nil {
		return fmt.Errorf("reading what claim %s was: %w", claim.Name, err)
	}
	before := claim.DeepCopy()
	for key, value := range was.Labels {
		metav1.SetMetaDataLabel(&claim.ObjectMeta, key, value)
	}
	for key, value := range was.Annotations {
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, key, value)
	}
	if len(claim.OwnerReferences) == 0 {
		claim.OwnerReferences = was.OwnerReferences
	}
	if apiequality.Semantic.DeepEqual(before, claim) {
		return nil
	}
	if err := p.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("completing claim %s: %w", claim.Name, err)
	}
	return nil
}

// ours says that a claim is the one that has this volume by the journal, and none that somebody made since.
func (p *procedure) ours(claim *corev1.PersistentVolumeClaim, planned *snapshotv1alpha1.RestoredClaim, volume string) bool {
	if claim.Spec.VolumeName != volume {
		return false
	}
	known := claim.UID == planned.OldUID || claim.UID == planned.UID
	return known || claim.Annotations[snapshotv1alpha1.AnnotationRestoring] == p.restore().Name
}

// ready has a volume wait for the claim. It is taken from the temporary claim first, or is Released from a claim that is gone.
func (p *procedure) ready(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, name string) (*corev1.PersistentVolume, string, error) {
	volume, err := p.keepBack(ctx, name)
	if err != nil {
		return nil, "", err
	}
	ref := volume.Spec.ClaimRef
	switch {
	case ref == nil:
		return volume, "", p.pointAt(ctx, volume, planned.Name, "")
	case ref.Namespace != p.restore().Namespace || ref.Name != planned.Name && ref.Name != planned.TemporaryClaim:
		return nil, "", problemf(ReasonVolumeGone, "volume %s belongs to claim %s/%s by now", name, ref.Namespace, ref.Name)
	case ref.Name == planned.Name && ref.UID == "":
		return volume, "", nil
	}
	holder, err := p.claim(ctx, ref.Namespace, ref.Name)
	if err != nil {
		return nil, "", err
	}
	if holder == nil || holder.UID != ref.UID {
		return volume, "", p.pointAt(ctx, volume, planned.Name, "")
	}
	wait, err := p.takeFrom(ctx, holder, planned, name)
	return nil, wait, err
}

// takeFrom takes a volume from the temporary claim. Another one keeps it.
func (p *procedure) takeFrom(ctx context.Context, holder *corev1.PersistentVolumeClaim, planned *snapshotv1alpha1.RestoredClaim, volume string) (string, error) {
	if holder.Name == planned.TemporaryClaim && holder.Labels[snapshotv1alpha1.LabelRestore] == string(p.restore().UID) {
		return p.removeTemporary(ctx, holder)
	}
	return fmt.Sprintf("waiting for volume %s to be let go by claim %s", volume, holder.Name), nil
}

// remove deletes a claim as it was read, after another look at what must not be lost.
func (p *procedure) remove(ctx context.Context, claim *corev1.PersistentVolumeClaim, volume string) (string, error) {
	pods, err := p.workloads.Pods(ctx, claim.Namespace, []string{claim.Name})
	if err != nil {
		return "", err
	}
	if len(pods.Running) > 0 {
		return "waiting for " + workloads.Describe(pods.Running) + " to end", nil
	}
	if !claim.DeletionTimestamp.IsZero() {
		return fmt.Sprintf("waiting for claim %s to be gone", claim.Name), nil
	}
	if _, err := p.keepBack(ctx, volume); err != nil {
		return "", err
	}
	if err := p.Client.Delete(ctx, claim, asRead(claim)); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("deleting claim %s: %w", claim.Name, err)
	}
	// Told of the claim as well: events of one object and reason are counted as one, with the first one's words.
	p.Recorder.Eventf(p.restore(), claim, corev1.EventTypeNormal, ReasonClaimDeleted, "Restore",
		"deleted claim %s to make it again with another volume: volume %s is kept", claim.Name, volume)
	return fmt.Sprintf("waiting for claim %s to be gone", claim.Name), nil
}

func (p *procedure) removeTemporary(ctx context.Context, claim *corev1.PersistentVolumeClaim) (string, error) {
	if claim.DeletionTimestamp.IsZero() {
		if err := p.Client.Delete(ctx, claim, asRead(claim)); client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("deleting the temporary claim %s: %w", claim.Name, err)
		}
	}
	return fmt.Sprintf("waiting for the temporary claim %s to be gone", claim.Name), nil
}

// asRead has the API server delete only what was read.
func asRead(object client.Object) client.Preconditions {
	uid, version := object.GetUID(), object.GetResourceVersion()
	return client.Preconditions{UID: &uid, ResourceVersion: &version}
}
