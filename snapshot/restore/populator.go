// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"fmt"
	"maps"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Populator makes claims that the storage system fills from a VolumeSnapshot.
type Populator struct {
	Client client.Client
}

// ClaimRequest is a claim to make.
type ClaimRequest struct {
	Namespace, Name string
	// Labels and Annotations are added to the labels of the member's claim, and win.
	Labels, Annotations map[string]string
	// Member gives the access modes, the volume mode, the driver, and the StorageClass where the request has none.
	Member           *snapshotv1alpha1.SnapshotMember
	Size             resource.Quantity
	StorageClassName string
	// VolumeSnapshotName is in Namespace. VolumeSnapshotUID, where it is set, has to be its UID.
	VolumeSnapshotName string
	VolumeSnapshotUID  types.UID
	// RestoreUID becomes LabelRestore: by it the claim is known again.
	RestoreUID types.UID
	// Owner is optional.
	Owner *metav1.OwnerReference
}

// Key is the claim's namespace and name.
func (r *ClaimRequest) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

func (r *ClaimRequest) storageClassName() string {
	if r.StorageClassName != "" {
		return r.StorageClassName
	}
	return r.Member.StorageClassName
}

// Ensure makes a claim, unless this restore has made it already, and returns it as it is in the API. Before it makes one it
// checks, as the API server has it now, all that the external provisioner would refuse. A claim of that name that is
// somebody else's is a final Problem.
//
// More than the snapshot's size is allowed: whether a driver can enlarge what it restores is to be seen nowhere.
// allowVolumeExpansion is about claims that are bound, and many drivers report as restoreSize what is used.
func (p *Populator) Ensure(ctx context.Context, request ClaimRequest) (*corev1.PersistentVolumeClaim, error) {
	existing, err := p.existing(ctx, &request)
	if existing != nil || err != nil {
		return existing, err
	}
	source := Source{Client: p.Client}
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.VolumeSnapshotName}
	_, content, err := source.Bound(ctx, key, request.VolumeSnapshotUID, request.Member.Driver)
	if err != nil {
		return nil, err
	}
	if err := p.fits(ctx, &request, content); err != nil {
		return nil, err
	}
	claim := request.claim()
	err = p.Client.Create(ctx, claim)
	switch {
	case err == nil:
		return claim, nil
	case apierrors.IsAlreadyExists(err):
		// Somebody was faster: it is another's, or ours after all.
		if existing, err := p.existing(ctx, &request); existing != nil || err != nil {
			return existing, err
		}
	}
	if problem := Refused(err, "the claim "+request.Key().String()+" cannot be made"); problem != nil {
		return nil, problem
	}
	return nil, fmt.Errorf("making the claim %s: %w", request.Key(), err)
}

// Check is what Ensure checks, without making the claim, for a content that may be that of another namespace.
func (p *Populator) Check(ctx context.Context, request ClaimRequest, content *snapshotv1.VolumeSnapshotContent) error {
	if existing, err := p.existing(ctx, &request); existing != nil || err != nil {
		return err
	}
	return p.fits(ctx, &request, content)
}

// existing is the claim that this restore made, nil where there is none of that name, and a Problem where it is another's.
func (p *Populator) existing(ctx context.Context, request *ClaimRequest) (*corev1.PersistentVolumeClaim, error) {
	claim := &corev1.PersistentVolumeClaim{}
	switch err := p.Client.Get(ctx, request.Key(), claim); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the claim %s: %w", request.Key(), err)
	case !Made(claim, request.RestoreUID, request.VolumeSnapshotName):
		return nil, final(ReasonClaimExists, "the claim %s exists already, and nothing is written over", request.Key())
	}
	return claim, nil
}

// Made says that a claim was made by the restore of that UID, from the VolumeSnapshot of that name.
func Made(claim *corev1.PersistentVolumeClaim, restore types.UID, snapshot string) bool {
	from := claim.Spec.DataSource
	return restore != "" && claim.Labels[snapshotv1alpha1.LabelRestore] == string(restore) &&
		from != nil && from.Kind == kindVolumeSnapshot && from.Name == snapshot
}

// fits is what else the provisioner looks at: driver, size and volume mode.
func (p *Populator) fits(ctx context.Context, request *ClaimRequest, content *snapshotv1.VolumeSnapshotContent) error {
	if err := p.classFits(ctx, request, content.Spec.Driver); err != nil {
		return err
	}
	if least := needed(request.Member, content); request.Size.Cmp(least) < 0 {
		return final(ReasonSizeTooSmall, "the claim %s would have %s, and its snapshot needs %s", request.Key(), request.Size.String(), least.String())
	}
	was := content.Spec.SourceVolumeMode
	if asked := request.volumeMode(); was != nil && *was != "" && *was != asked {
		return final(ReasonVolumeMode, "the claim %s would be of the volume mode %s, and its snapshot is of %s", request.Key(), asked, *was)
	}
	return nil
}

func (p *Populator) classFits(ctx context.Context, request *ClaimRequest, driver string) error {
	name := request.storageClassName()
	if name == "" {
		return final(ReasonStorageClass, "the claim %s that was cut has no StorageClass: name one for %s", request.Member.ClaimName, request.Key())
	}
	class, err := StorageClass(ctx, p.Client, name)
	switch {
	case apierrors.IsNotFound(err):
		return final(ReasonStorageClass, "there is no StorageClass %s for the claim %s", name, request.Key())
	case err != nil:
		return fmt.Errorf("reading the StorageClass %s: %w", name, err)
	case class.Provisioner != driver:
		return final(ReasonStorageClass, "the StorageClass %s of the claim %s is of the driver %s, and its snapshot of %s", name, request.Key(), class.Provisioner, driver)
	}
	return nil
}

// needed is the most of what the member and its content say that a claim has to have.
func needed(member *snapshotv1alpha1.SnapshotMember, content *snapshotv1.VolumeSnapshotContent) resource.Quantity {
	least := leastSize(member)
	if content.Status != nil && content.Status.RestoreSize != nil {
		if said := resource.NewQuantity(*content.Status.RestoreSize, resource.BinarySI); said.Cmp(least) > 0 {
			return *said
		}
	}
	return least
}

const kindVolumeSnapshot = "VolumeSnapshot"

func (r *ClaimRequest) volumeMode() corev1.PersistentVolumeMode {
	if r.Member.VolumeMode == "" {
		return corev1.PersistentVolumeFilesystem
	}
	return r.Member.VolumeMode
}

func (r *ClaimRequest) claim() *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name, Labels: map[string]string{}, Annotations: maps.Clone(r.Annotations)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      r.Member.AccessModes,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: r.Size}},
			StorageClassName: ptr.To(r.storageClassName()),
			VolumeMode:       ptr.To(r.volumeMode()),
			DataSource:       &corev1.TypedLocalObjectReference{APIGroup: ptr.To(snapshotv1.GroupName), Kind: kindVolumeSnapshot, Name: r.VolumeSnapshotName},
		},
	}
	maps.Copy(claim.Labels, r.Member.Labels)
	maps.Copy(claim.Labels, r.Labels)
	claim.Labels[snapshotv1alpha1.LabelRestore] = string(r.RestoreUID)
	if r.Owner != nil {
		claim.OwnerReferences = []metav1.OwnerReference{*r.Owner}
	}
	return claim
}
