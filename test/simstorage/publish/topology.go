// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/csiserver"
)

// syncVolume makes a volume's topology object like the volume, or deletes it with the volume.
func (p *Publisher) syncVolume(ctx context.Context, handle string) error {
	object := &storagev1alpha1.VolumeTopology{ObjectMeta: metav1.ObjectMeta{Name: ObjectName(handle)}}
	v, err := p.cluster.Volume(handle)
	if cluster.ReasonOf(err) == cluster.NotFound {
		return p.remove(ctx, object)
	}
	if err != nil {
		return err
	}
	err = p.client.Get(ctx, client.ObjectKeyFromObject(object), object)
	if apierrors.IsNotFound(err) {
		object.Spec = storagev1alpha1.VolumeTopologySpec{Provisioner: csiserver.DriverName, VolumeHandle: handle}
		err = p.client.Create(ctx, object)
	}
	if err != nil {
		return fmt.Errorf("ensuring volume topology %s: %w", object.Name, err)
	}
	wanted := topologyStatus(v)
	if apiequality.Semantic.DeepEqual(object.Status, wanted) {
		return nil
	}
	object.Status = wanted
	if err := p.client.Status().Update(ctx, object); err != nil {
		return fmt.Errorf("updating volume topology %s: %w", object.Name, err)
	}
	return nil
}

func topologyStatus(v cluster.Volume) storagev1alpha1.VolumeTopologyStatus {
	status := storagev1alpha1.VolumeTopologyStatus{AttachedNodes: v.Attached, FencedNodes: v.Fenced}
	for _, replica := range v.Replicas {
		status.Replicas = append(status.Replicas, storagev1alpha1.VolumeReplica{NodeName: replica.Node, State: replica.State})
	}
	return status
}
