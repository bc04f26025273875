// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/csiserver"
)

// resync queues everything that the model has, and everything that stands in the API server for what it has not.
func (p *Publisher) resync(ctx context.Context) error {
	var topologies storagev1alpha1.VolumeTopologyList
	if err := p.client.List(ctx, &topologies); err != nil {
		return fmt.Errorf("listing volume topologies: %w", err)
	}
	for i := range topologies.Items {
		spec := topologies.Items[i].Spec
		if err := p.adopt(ctx, &topologies.Items[i], spec.Provisioner, cluster.Event{Kind: cluster.VolumeChanged, ID: spec.VolumeHandle}); err != nil {
			return err
		}
	}
	var reports storagev1alpha1.StorageReportList
	if err := p.client.List(ctx, &reports); err != nil {
		return fmt.Errorf("listing storage reports: %w", err)
	}
	for i := range reports.Items {
		spec := reports.Items[i].Spec
		if err := p.adopt(ctx, &reports.Items[i], spec.Provisioner, cluster.Event{Kind: cluster.NodeChanged, ID: spec.NodeName}); err != nil {
			return err
		}
	}
	for _, v := range p.cluster.Volumes() {
		p.queue.Add(cluster.Event{Kind: cluster.VolumeChanged, ID: v.Handle})
	}
	for _, n := range p.cluster.Nodes() {
		if n.Storage {
			p.queue.Add(cluster.Event{Kind: cluster.NodeChanged, ID: n.Name})
		}
	}
	return nil
}

// adopt queues the subject of an object of ours, and deletes the object when it has a name that we would not give it.
func (p *Publisher) adopt(ctx context.Context, object client.Object, provisioner string, subject cluster.Event) error {
	if provisioner != csiserver.DriverName {
		return nil
	}
	if object.GetName() != ObjectName(subject.ID) {
		return p.remove(ctx, object)
	}
	p.queue.Add(subject)
	return nil
}

func (p *Publisher) remove(ctx context.Context, object client.Object) error {
	if err := client.IgnoreNotFound(p.client.Delete(ctx, object)); err != nil {
		return fmt.Errorf("deleting %s: %w", object.GetName(), err)
	}
	return nil
}
