// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/storagehealth/candidates"
)

// byNode is the index of VolumeAttachments by node.
const byNode = "spec.nodeName"

func indexByNode(object any) ([]string, error) {
	if attachment, ok := object.(*storagev1.VolumeAttachment); ok {
		return []string{attachment.Spec.NodeName}, nil
	}
	return nil, nil
}

// byHandle is the index of PersistentVolumes by CSI driver and volume handle, as attach-detach and the kubelet write them.
const byHandle = "roost.dev/volumes-by-handle"

func indexByHandle(object any) ([]string, error) {
	if pv, ok := object.(*corev1.PersistentVolume); ok && pv.Spec.CSI != nil {
		return []string{pv.Spec.CSI.Driver + "^" + pv.Spec.CSI.VolumeHandle}, nil
	}
	return nil, nil
}

// attachmentsOn are the attachments to a node, of all drivers, from memory.
func (m *Mover) attachmentsOn(node string) []*storagev1.VolumeAttachment {
	objects, err := m.attachments.ByIndex(byNode, node)
	if err != nil {
		return nil
	}
	attachments := make([]*storagev1.VolumeAttachment, 0, len(objects))
	for _, object := range objects {
		attachments = append(attachments, object.(*storagev1.VolumeAttachment))
	}
	return attachments
}

// attachmentsOf are those of the driver's volumes of the pod, on the pod's node.
func (m *Mover) attachmentsOf(job *Job, c *candidates.Candidate) []*storagev1.VolumeAttachment {
	names := persistentVolumes(c.Volumes, job.Provisioner)
	return slices.DeleteFunc(m.attachmentsOn(job.Node), func(attachment *storagev1.VolumeAttachment) bool {
		name := attachment.Spec.Source.PersistentVolumeName
		return attachment.Spec.Attacher != job.Provisioner || name == nil || !slices.Contains(names, *name)
	})
}

// leftovers are the attachments to the dead node whose volumes it can no longer write to and no pod there uses.
func (m *Mover) leftovers(node *corev1.Node) []*storagev1.VolumeAttachment {
	return slices.DeleteFunc(m.attachmentsOn(node.Name), func(attachment *storagev1.VolumeAttachment) bool {
		name := attachment.Spec.Source.PersistentVolumeName
		return name == nil || !m.provenByName(node, *name) || len(m.sharing(node.Name, *name)) > 0
	})
}

// believed are the volumes like leftovers that attach-detach takes for attached though their attachments are gone, deleted
// while the node was still Ready. It looks for itself once a minute, and at once when it is told that the node is out.
func (m *Mover) believed(node *corev1.Node) int {
	believed := 0
	attachments := m.attachmentsOn(node.Name)
	for _, attached := range node.Status.VolumesAttached {
		pv := m.volumeNamed(attached.Name)
		if pv == nil || !provenVolume(m.prover, node, pv) || len(m.sharing(node.Name, pv.Name)) > 0 {
			continue
		}
		if !slices.ContainsFunc(attachments, func(attachment *storagev1.VolumeAttachment) bool {
			return ptr.Deref(attachment.Spec.Source.PersistentVolumeName, "") == pv.Name
		}) {
			believed++
		}
	}
	return believed
}

// volumeNamed finds the PersistentVolume of a CSI volume by the name that attach-detach and the kubelet give it.
func (m *Mover) volumeNamed(name corev1.UniqueVolumeName) *corev1.PersistentVolume {
	found, err := m.volumes.ByIndex(byHandle, strings.TrimPrefix(string(name), "kubernetes.io/csi/"))
	if err != nil || len(found) == 0 {
		return nil
	}
	return found[0].(*corev1.PersistentVolume)
}

// detachLeftovers deletes, on a dead node, the attachments of the driver's volumes that are proven fenced and that no pod
// there uses any more: attach-detach would wait six minutes for the node to unmount them.
func (m *Mover) detachLeftovers(ctx context.Context, job *Job, node *corev1.Node, leftovers []*storagev1.VolumeAttachment) error {
	for _, attachment := range leftovers {
		if attachment.Spec.Attacher != job.Provisioner || attachment.DeletionTimestamp != nil {
			continue
		}
		live, err := m.readNode(ctx, node.Name)
		if err != nil {
			return err
		}
		if _, may := job.MayMove(node.Name, nil); !may || !dead(live) {
			return nil // the StorageNode says which brake holds
		}
		if err := m.deleteAttachment(ctx, job, live, attachment); err != nil {
			return err
		}
	}
	return nil
}

// detachVolumes deletes the attachments of the pod's volumes to its node. The CSI attacher then unpublishes the volumes and
// lets the attachments go.
func (m *Mover) detachVolumes(ctx context.Context, job *Job, c *candidates.Candidate, t target) error {
	for _, known := range m.attachmentsOf(job, c) {
		if known.DeletionTimestamp != nil {
			continue
		}
		pod, node, err := m.recheck(ctx, job, t)
		if err != nil {
			return err
		}
		if ok, _ := proven(m.prover, node, pod, c.Volumes); !ok || pod.DeletionTimestamp == nil {
			return errChanged
		}
		if err := m.deleteAttachment(ctx, job, pod, known); err != nil {
			return err
		}
	}
	return nil
}

// deleteAttachment deletes the attachment that is known from memory, by its UID: its spec never changes.
func (m *Mover) deleteAttachment(ctx context.Context, job *Job, about client.Object, known *storagev1.VolumeAttachment) error {
	err := m.client.Delete(ctx, known.DeepCopy(), client.Preconditions{UID: &known.UID})
	m.metrics.detached(job.Provisioner, err)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting VolumeAttachment %s: %w", known.Name, err)
	}
	m.recorder.Eventf(about, known, corev1.EventTypeWarning, EventDetaching, "Detach",
		"Detaching volume %s from node %s, which can no longer write to it: %s",
		ptr.Deref(known.Spec.Source.PersistentVolumeName, ""), job.Node, job.Cause)
	return nil
}

// detachError is what the CSI attacher last said about why a volume is not detached.
func detachError(attachments []*storagev1.VolumeAttachment) string {
	for _, attachment := range attachments {
		if attachment.Status.DetachError != nil {
			return ": " + attachment.Status.DetachError.Message
		}
	}
	return ""
}
