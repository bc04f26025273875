// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/test/utils/ktesting"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/builders"
)

// makeClaims are those that wait for their first consumer.
func (o *objects) makeClaims(ctx context.Context) error {
	return each(ctx, o.shape.claims(), func(i int) error { return o.client.Create(ctx, o.claim(i)) })
}

// makeVolumes makes the claims, bound, and their volumes, and publishes where those are.
func (o *objects) makeVolumes(ctx context.Context) error {
	err := each(ctx, o.shape.claims(), func(i int) error {
		claim := o.claim(i)
		claim.Spec.VolumeName = "pv-of-" + claim.Name
		claim.Annotations = map[string]string{storagehelpers.AnnBindCompleted: "yes"}
		if err := o.client.Create(ctx, claim); err != nil {
			return fmt.Errorf("making a claim: %w", err)
		}
		return o.client.Create(ctx, o.volume(i, claim))
	})
	if err != nil {
		return err
	}
	return each(ctx, o.shape.claims(), func(i int) error { return o.publish(ctx, i) })
}

func (o *objects) claim(i int) *corev1.PersistentVolumeClaim {
	claim := builders.MakeClaim(o.shape.claimName(i)).Class(className).Obj()
	claim.Namespace, claim.UID, claim.Status = measured, "", corev1.PersistentVolumeClaimStatus{}
	return claim
}

func (o *objects) volume(i int, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	builder := builders.MakePV("pv-of-"+claim.Name).CSI(provisioner, o.shape.volumeID(i).Handle)
	if o.shape.pinned {
		builder.OnNodes(o.shape.dataNodes(i / o.shape.volumes)...)
	}
	pv := builder.Obj()
	pv.Spec.StorageClassName = className
	pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	pv.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	pv.Spec.ClaimRef = &corev1.ObjectReference{
		Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
	}
	return pv
}

func (o *objects) publish(ctx context.Context, i int) error {
	id := o.shape.volumeID(i)
	topology := &storagev1alpha1.VolumeTopology{
		ObjectMeta: metav1.ObjectMeta{Name: o.shape.claimName(i)},
		Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: id.Provisioner, VolumeHandle: id.Handle},
	}
	if err := o.client.Create(ctx, topology); err != nil {
		return fmt.Errorf("publishing a location: %w", err)
	}
	for _, node := range o.shape.dataNodes(i / o.shape.volumes) {
		topology.Status.Replicas = append(topology.Status.Replicas, storagev1alpha1.VolumeReplica{NodeName: node, State: storagev1alpha1.ReplicaInSync})
	}
	if err := o.client.Status().Update(ctx, topology); err != nil {
		return fmt.Errorf("publishing a location: %w", err)
	}
	return nil
}

// provision makes the volume of a claim once the scheduler has chosen a node. scheduler_perf's own controller then binds the
// claim to it.
func (o *objects) provision(tCtx ktesting.TContext, claims cache.SharedIndexInformer) error {
	chosen := make(chan *corev1.PersistentVolumeClaim, o.shape.claims())
	_, err := claims.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, after any) {
		old, claim := before.(*corev1.PersistentVolumeClaim), after.(*corev1.PersistentVolumeClaim)
		if old.Annotations[storagehelpers.AnnSelectedNode] == "" && claim.Annotations[storagehelpers.AnnSelectedNode] != "" {
			chosen <- claim
		}
	}})
	if err != nil {
		return fmt.Errorf("following the claims: %w", err)
	}
	numbers := map[string]int{}
	for i := range o.shape.claims() {
		numbers[o.shape.claimName(i)] = i
	}
	for range writers {
		go func() {
			for {
				select {
				case <-tCtx.Done():
					return
				case claim := <-chosen:
					if err := o.client.Create(tCtx, o.volume(numbers[claim.Name], claim)); err != nil && tCtx.Err() == nil {
						klog.FromContext(tCtx).Error(err, "Provisioning a volume")
					}
				}
			}
		}()
	}
	return nil
}
