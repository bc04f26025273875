// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// populate has the storage system make the new volumes, behind temporary claims. The application runs.
func (p *procedure) populate(ctx context.Context) (outcome, error) {
	snapshot, err := p.source.Snapshot(ctx, p.restore())
	if err != nil {
		return outcome{}, err
	}
	if !p.Limits.Enter(p.key(), p.load(snapshot)) {
		return p.wait(ctx, later, "waiting for its turn: as many volumes are being made as may be at a time")
	}
	missing, err := p.populateAll(ctx, snapshot)
	if err != nil {
		return outcome{}, err
	}
	if len(missing) > 0 {
		return p.wait(ctx, later, "waiting for the storage system to make the new volumes of %s", strings.Join(missing, ", "))
	}
	if err := p.findWorkloads(ctx); err != nil {
		return outcome{}, err
	}
	if err := p.enter(ctx, snapshotv1alpha1.RestoreStopping, ReasonStopping, "the new volumes are there: stopping %s", p.workloadNames()); err != nil {
		return outcome{}, err
	}
	p.Limits.Leave(p.key())
	return onward, nil
}

// populateAll makes the temporary claims, and returns the names of the claims whose new volumes are not there yet.
func (p *procedure) populateAll(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) ([]string, error) {
	claims := p.status().Claims
	for i := range claims {
		if claims[i].State == snapshotv1alpha1.ClaimPlanned {
			claims[i].State = snapshotv1alpha1.ClaimPopulating
		}
	}
	if err := p.save(ctx); err != nil {
		return nil, err
	}
	var missing []string
	for i := range claims {
		claim := &claims[i]
		if claim.State != snapshotv1alpha1.ClaimPopulating {
			continue
		}
		if err := p.populateClaim(ctx, claim, restore.MemberOf(snapshot, claim.From)); err != nil {
			return nil, err
		}
		if claim.State == snapshotv1alpha1.ClaimPopulating {
			missing = append(missing, claim.Name)
		}
	}
	return missing, nil
}

// load is how many volumes each CSI driver makes.
func (p *procedure) load(snapshot *snapshotv1alpha1.ApplicationSnapshot) map[string]int {
	load := map[string]int{}
	for i := range p.status().Claims {
		if member := restore.MemberOf(snapshot, p.status().Claims[i].From); member != nil {
			load[member.Driver]++
		}
	}
	return load
}

// populateClaim makes the temporary claim, and notes its volume once it has one.
func (p *procedure) populateClaim(ctx context.Context, planned *snapshotv1alpha1.RestoredClaim, member *snapshotv1alpha1.SnapshotMember) error {
	namespace := p.restore().Namespace
	if member == nil {
		return problemf(ReasonMember, "claim %s is not in the snapshot any more", planned.From)
	}
	old, err := p.claim(ctx, namespace, planned.Name)
	if err != nil {
		return err
	}
	if old == nil || old.UID != planned.OldUID {
		return problemf(ReasonClaim, "claim %s was deleted or made anew since the restore began", planned.Name)
	}
	annotations, err := p.place(ctx, old, planned)
	if err != nil {
		return err
	}
	annotations[snapshotv1alpha1.AnnotationRestoredBy] = p.restore().Name
	// The temporary claim has none of the old one's labels: a schedule must not take it for one of the application.
	bare := member.DeepCopy()
	bare.Labels, bare.AccessModes, bare.VolumeMode = nil, old.Spec.AccessModes, modeOf(old)
	temporary, err := p.populator.Ensure(ctx, restore.ClaimRequest{
		Namespace: namespace, Name: planned.TemporaryClaim, Annotations: annotations, Member: bare, Size: planned.Size,
		Labels:           map[string]string{snapshotv1alpha1.LabelTemporary: "true"},
		StorageClassName: planned.StorageClassName, VolumeSnapshotName: member.VolumeSnapshotName, VolumeSnapshotUID: member.VolumeSnapshotUID,
		RestoreUID: p.restore().UID,
	})
	if err != nil {
		return err
	}
	if temporary.Status.Phase != corev1.ClaimBound {
		return p.placeAgain(ctx, temporary, annotations)
	}
	volume, err := p.volume(ctx, temporary.Spec.VolumeName)
	if err != nil || volume == nil || volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != temporary.UID {
		return err
	}
	planned.NewVolume, planned.NewReclaimPolicy = volume.Name, string(volume.Spec.PersistentVolumeReclaimPolicy)
	planned.State = snapshotv1alpha1.ClaimPopulated
	return nil
}

// place names the node where a volume is to be made whose class waits for the first pod: nobody else would, as there is no pod.
func (p *procedure) place(ctx context.Context, old *corev1.PersistentVolumeClaim, planned *snapshotv1alpha1.RestoredClaim) (map[string]string, error) {
	class, err := p.class(ctx, planned.StorageClassName)
	if err != nil || class == nil || !restore.WaitsForPod(class) {
		return map[string]string{}, err
	}
	volume, err := p.volume(ctx, planned.OldVolume)
	if err != nil {
		return nil, err
	}
	if volume == nil {
		return nil, problemf(ReasonVolumeGone, "volume %s of claim %s does not exist any more", planned.OldVolume, planned.Name)
	}
	nodes := &corev1.NodeList{}
	if err := p.Memory.List(ctx, nodes); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	node := nodeFor(volume, old.Annotations[storagehelpers.AnnSelectedNode], nodes.Items)
	if node == "" {
		return nil, waitf(ReasonWaiting, "no node fits the volume %s of claim %s", volume.Name, old.Name)
	}
	return map[string]string{storagehelpers.AnnSelectedNode: node}, nil
}

// nodeFor is a node that can have the old volume: the one that was chosen for it, if that is still there.
func nodeFor(volume *corev1.PersistentVolume, before string, nodes []corev1.Node) string {
	var found string
	for i := range nodes {
		if storagehelpers.CheckNodeAffinity(volume, nodes[i].Labels) != nil {
			continue
		}
		if nodes[i].Name == before {
			return before
		}
		if !nodes[i].Spec.Unschedulable && found == "" {
			found = nodes[i].Name
		}
	}
	return found
}

// placeAgain names the node again where the provisioner took it away, which it does after an error that another node might not have.
func (p *procedure) placeAgain(ctx context.Context, temporary *corev1.PersistentVolumeClaim, annotations map[string]string) error {
	node := annotations[storagehelpers.AnnSelectedNode]
	if node == "" || temporary.Annotations[storagehelpers.AnnSelectedNode] != "" {
		return nil
	}
	before := temporary.DeepCopy()
	metav1.SetMetaDataAnnotation(&temporary.ObjectMeta, storagehelpers.AnnSelectedNode, node)
	if err := p.Client.Patch(ctx, temporary, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("placing claim %s: %w", temporary.Name, err)
	}
	return nil
}

func (p *procedure) workloadNames() string {
	var names []string
	for _, workload := range p.status().Workloads {
		if workload.Replicas > 0 {
			names = append(names, workload.Kind+" "+workload.Name)
		}
	}
	if len(names) == 0 {
		return "nothing, since nobody uses the claims"
	}
	return strings.Join(names, ", ")
}
