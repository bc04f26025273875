// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// Volume is a claim's volume.
type Volume struct {
	// Name is the PersistentVolume's, and Handle simstorage's.
	Name, Handle string
	// Nodes are those with an in-sync copy, sorted.
	Nodes []string
}

// Volumes are those of the namespace, by claim. A claim that is not bound, or whose volume has no topology, is an error:
// nothing could be said of its pod.
func (w Workload) Volumes(ctx context.Context) (map[string]Volume, error) {
	handles, err := w.handles(ctx)
	if err != nil {
		return nil, err
	}
	inSync, err := w.inSync(ctx)
	if err != nil {
		return nil, err
	}
	var claims corev1.PersistentVolumeClaimList
	if err := w.Client.List(ctx, &claims, client.InNamespace(w.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the claims of %s: %w", w.Namespace, err)
	}
	found := make(map[string]Volume, len(claims.Items))
	for i := range claims.Items {
		claim := &claims.Items[i]
		volume := Volume{Name: claim.Spec.VolumeName, Handle: handles[claim.Spec.VolumeName]}
		volume.Nodes = inSync[volume.Handle]
		if len(volume.Nodes) == 0 {
			return nil, fmt.Errorf("claim %s has no volume with an in-sync replica", client.ObjectKeyFromObject(claim))
		}
		found[claim.Name] = volume
	}
	return found, nil
}

// handles are simstorage's, by the name of the PersistentVolume.
func (w Workload) handles(ctx context.Context) (map[string]string, error) {
	var volumes corev1.PersistentVolumeList
	if err := w.Client.List(ctx, &volumes); err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	found := make(map[string]string, len(volumes.Items))
	for i := range volumes.Items {
		if source := volumes.Items[i].Spec.CSI; source != nil && source.Driver == sandbox.Provisioner {
			found[volumes.Items[i].Name] = source.VolumeHandle
		}
	}
	return found, nil
}

// inSync are the nodes with an in-sync replica, by volume handle.
func (w Workload) inSync(ctx context.Context) (map[string][]string, error) {
	var topologies storagev1alpha1.VolumeTopologyList
	if err := w.Client.List(ctx, &topologies); err != nil {
		return nil, fmt.Errorf("listing volume topologies: %w", err)
	}
	found := make(map[string][]string, len(topologies.Items))
	for i := range topologies.Items {
		item := &topologies.Items[i]
		if item.Spec.Provisioner != sandbox.Provisioner {
			continue
		}
		var nodes []string
		for _, replica := range item.Status.Replicas {
			if replica.State == storagev1alpha1.ReplicaInSync {
				nodes = append(nodes, replica.NodeName)
			}
		}
		slices.Sort(nodes)
		found[item.Spec.VolumeHandle] = nodes
	}
	return found, nil
}
