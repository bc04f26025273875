// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/csiserver"
)

// syncNode renews a storage node's report and queues the next renewal, or deletes the report with the node.
func (p *Publisher) syncNode(ctx context.Context, name string) error {
	report := &storagev1alpha1.StorageReport{ObjectMeta: metav1.ObjectMeta{Name: ObjectName(name)}}
	n, ok := p.cluster.Node(name)
	if !ok || !n.Storage {
		return p.remove(ctx, report)
	}
	patch, err := p.reportPatch(n)
	if err != nil {
		return err
	}
	err = p.client.Status().Patch(ctx, report, patch)
	if apierrors.IsNotFound(err) {
		err = p.createReport(ctx, name, patch)
	}
	if err != nil {
		return fmt.Errorf("renewing storage report %s: %w", report.Name, err)
	}
	// The queue keeps one delayed entry an item, the soonest, so renewals out of turn do not add up.
	p.queue.AddAfter(cluster.Event{Kind: cluster.NodeChanged, ID: name}, p.period(name))
	return nil
}

func (p *Publisher) createReport(ctx context.Context, nodeName string, status client.Patch) error {
	report := &storagev1alpha1.StorageReport{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(nodeName)},
		Spec:       storagev1alpha1.StorageReportSpec{Provisioner: csiserver.DriverName, NodeName: nodeName},
	}
	if err := p.client.Create(ctx, report); err != nil {
		return err
	}
	return p.client.Status().Patch(ctx, report, status)
}

// reportPatch sets a report's whole status without reading it first: a heartbeat is one request.
func (p *Publisher) reportPatch(n cluster.Node) (client.Patch, error) {
	state, message := n.Report()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"state":         state,
		"message":       message,
		"heartbeatTime": metav1.NewMicroTime(p.clock.Now()),
	}})
	if err != nil {
		return nil, fmt.Errorf("encoding the status of node %s: %w", n.Name, err)
	}
	return client.RawPatch(types.MergePatchType, patch), nil
}

// period is between three quarters of the heartbeat and all of it, by node: reports that were all written at once, as at
// the start, are soon renewed one by one.
func (p *Publisher) period(nodeName string) time.Duration {
	const steps = 256
	h := fnv.New32a()
	_, _ = h.Write([]byte(nodeName)) // a Hash never fails
	step := time.Duration(h.Sum32() % steps)
	return p.heartbeat*3/4 + p.heartbeat/4*step/steps
}
