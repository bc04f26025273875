// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/workloads"
)

// stop holds the claims, scales the workloads to 0, and waits until nothing has the volumes any more.
func (p *procedure) stop(ctx context.Context) (outcome, error) {
	if quiet, err := p.still(ctx, oldSide); err != nil || quiet != "" {
		return p.waitOr(ctx, quiet, err)
	}
	if p.restore().Spec.InPlace.SafetySnapshot == snapshotv1alpha1.SafetySnapshotNone {
		return onward, p.beginSwap(ctx)
	}
	p.status().SafetySnapshotName = temporaryName(p.restore().Name, p.restore().UID)
	return onward, p.enter(ctx, snapshotv1alpha1.RestoreSecuring, ReasonSecuring, "nothing uses the claims: keeping their present state as snapshot %s", p.status().SafetySnapshotName)
}

func (p *procedure) waitOr(ctx context.Context, what string, err error) (outcome, error) {
	if err != nil {
		return outcome{}, err
	}
	return p.wait(ctx, shortly, "%s", what)
}

// side is one of the two volumes of a claim: the one that it has before the exchange, by the claim's UID and the volume's name.
type side func(*snapshotv1alpha1.RestoredClaim) (claimUID string, volume string)

func oldSide(c *snapshotv1alpha1.RestoredClaim) (string, string) {
	return string(c.OldUID), c.OldVolume
}
func newSide(c *snapshotv1alpha1.RestoredClaim) (string, string) { return string(c.UID), c.NewVolume }

// still holds the claims on that side, stops the workloads, and says what is still to be waited for. Safe to repeat.
func (p *procedure) still(ctx context.Context, on side) (string, error) {
	for i := range p.status().Claims {
		if err := p.hold(ctx, &p.status().Claims[i], on); err != nil {
			return "", err
		}
	}
	if err := p.stopWorkloads(ctx); err != nil {
		return "", err
	}
	return p.busy(ctx, on)
}

// hold marks the claim, so that no pod that uses it is scheduled. The mark is also what keeps two restores from one claim.
func (p *procedure) hold(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, on side) error {
	uid, _ := on(planned)
	claim, err := p.claim(ctx, p.restore().Namespace, planned.Name)
	if err != nil {
		return err
	}
	if claim == nil || string(claim.UID) != uid || !claim.DeletionTimestamp.IsZero() {
		return problemf(ReasonClaim, "claim %s was deleted or made anew since the restore began", planned.Name)
	}
	switch holder := claim.Annotations[snapshotv1alpha1.AnnotationRestoring]; holder {
	case p.restore().Name:
		return nil
	case "":
	default:
		return problemf(ReasonHeld, "claim %s is being restored by SnapshotRestore %s", planned.Name, holder)
	}
	before := claim.DeepCopy()
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, snapshotv1alpha1.AnnotationRestoring, p.restore().Name)
	if err := p.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("holding claim %s: %w", claim.Name, err)
	}
	return nil
}

func (p *procedure) stopWorkloads(ctx context.Context) error {
	for i := range p.status().Workloads {
		workload := &p.status().Workloads[i]
		if workload.State != snapshotv1alpha1.WorkloadPlanned {
			continue
		}
		err := p.workloads.Stop(ctx, p.key(), workload, func() error { return p.save(ctx) })
		switch {
		case errors.Is(err, workloads.ErrHeld):
			return problemf(ReasonHeld, "%v", err)
		case apierrors.IsInvalid(err) || apierrors.IsForbidden(err):
			return problemf(ReasonInUse, "%v", err)
		case err != nil:
			return err
		}
		workload.State = snapshotv1alpha1.WorkloadStopped
		if err := p.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// busy says who still has the volumes of that side. Empty is nobody.
func (p *procedure) busy(ctx context.Context, on side) (string, error) {
	pods, err := p.workloads.Pods(ctx, p.restore().Namespace, p.claimNames())
	if err != nil {
		return "", err
	}
	if len(pods.Running) > 0 {
		return "waiting for " + workloads.Describe(pods.Running) + " to end" + p.owners(), nil
	}
	var names []string
	for i := range p.status().Claims {
		_, volume := on(&p.status().Claims[i])
		names = append(names, volume)
	}
	// What is followed tells when to wait on; whether to go on is for the API server to say.
	for _, reader := range []client.Reader{p.Memory, p.Client} {
		if attached, err := attached(ctx, reader, names); err != nil || attached != "" {
			return attached, err
		}
	}
	handles, err := p.handles(ctx, names)
	if err != nil {
		return "", err
	}
	for _, reader := range []client.Reader{p.Memory, p.Client} {
		if mounted, err := mounted(ctx, reader, handles); err != nil || mounted != "" {
			return mounted, err
		}
	}
	return "", nil
}

// owners tells who may be the reason that there are pods still.
func (p *procedure) owners() string {
	var text string
	for _, workload := range p.status().Workloads {
		if workload.Owner != "" {
			text += fmt.Sprintf(" (%s %s: %s)", workload.Kind, workload.Name, workload.Owner)
		}
	}
	return text
}

func attached(ctx context.Context, reader client.Reader, volumes []string) (string, error) {
	list := &storagev1.VolumeAttachmentList{}
	if err := reader.List(ctx, list); err != nil {
		return "", fmt.Errorf("listing VolumeAttachments: %w", err)
	}
	for i := range list.Items {
		spec := &list.Items[i].Spec
		if name := spec.Source.PersistentVolumeName; name != nil && slices.Contains(volumes, *name) {
			return fmt.Sprintf("waiting for volume %s to be detached from node %s", *name, spec.NodeName), nil
		}
	}
	return "", nil
}

// handles are what a kubelet calls volumes, with their names. A volume that is gone is in use nowhere.
func (p *procedure) handles(ctx context.Context, volumes []string) (map[corev1.UniqueVolumeName]string, error) {
	handles := map[corev1.UniqueVolumeName]string{}
	for _, name := range volumes {
		volume, err := p.volume(ctx, name)
		if err != nil {
			return nil, err
		}
		if volume != nil && volume.Spec.CSI != nil {
			handles[corev1.UniqueVolumeName("kubernetes.io/csi/"+volume.Spec.CSI.Driver+"^"+volume.Spec.CSI.VolumeHandle)] = name
		}
	}
	return handles, nil
}

func mounted(ctx context.Context, reader client.Reader, handles map[corev1.UniqueVolumeName]string) (string, error) {
	list := &corev1.NodeList{}
	if err := reader.List(ctx, list); err != nil {
		return "", fmt.Errorf("listing nodes: %w", err)
	}
	for i := range list.Items {
		for _, handle := range list.Items[i].Status.VolumesInUse {
			if name, ok := handles[handle]; ok {
				return fmt.Sprintf("waiting for node %s to let go of volume %s", list.Items[i].Name, name), nil
			}
		}
	}
	return "", nil
}

// noteWaiting puts behind a message who waits at the gate.
func (p *procedure) noteWaiting(ctx context.Context, message string) (string, error) {
	pods, err := p.workloads.Pods(ctx, p.restore().Namespace, p.claimNames())
	if err != nil || len(pods.Waiting) == 0 {
		return message, err
	}
	return strings.TrimPrefix(message+"; "+workloads.Describe(pods.Waiting)+" held meanwhile", "; "), nil
}
