// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// storageNode reads the StorageNode of a node.
func (s *story) storageNode(ctx context.Context, node string) (*storagev1alpha1.StorageNode, error) {
	var list storagev1alpha1.StorageNodeList
	if err := s.client.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing storage nodes: %w", err)
	}
	for i := range list.Items {
		if spec := list.Items[i].Spec; spec.Provisioner == sandbox.Provisioner && spec.NodeName == node {
			return &list.Items[i], nil
		}
	}
	return nil, fmt.Errorf("node %s has no StorageNode of %s", node, sandbox.Provisioner)
}

// waitForState waits until the verdict on a node is the one that is wanted.
func (s *story) waitForState(ctx context.Context, node string, want storagev1alpha1.HealthState) (*storagev1alpha1.StorageNode, error) {
	var found *storagev1alpha1.StorageNode
	err := s.poll(ctx, func(ctx context.Context) (bool, error) {
		var err error
		if found, err = s.storageNode(ctx, node); err != nil {
			return false, err
		}
		s.screen.Progress("%s is %s", node, found.Status.State)
		return found.Status.State == want, nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for %s to be %s: %w", node, want, err)
	}
	return found, nil
}

// showStorageNode shows what an operator looks at.
func (s *story) showStorageNode(ctx context.Context, node string) error {
	object, err := s.waitForState(ctx, node, storagev1alpha1.HealthFailedOver)
	if err != nil {
		return err
	}
	s.screen.Line("  kubectl get storagenodes says:")
	s.screen.Table(storageNodeTable(object))
	s.screen.Line("%s", wrapped(object.Status.Message, 90, "  "))
	return nil
}

// storageNodeTable is the object as kubectl shows it, but for the message.
func storageNodeTable(object *storagev1alpha1.StorageNode) [][]string {
	status := &object.Status
	return [][]string{
		{"DRIVER", "NODE", "STATE", "STORAGE", "VOLUMES", "AT-RISK"},
		{
			object.Spec.Provisioner, object.Spec.NodeName, string(status.State), status.StorageState,
			strconv.Itoa(int(status.Volumes)), strconv.Itoa(int(status.PodsAtRisk)),
		},
	}
}

// storageReturns gives the node its storage back and waits until it counts as healthy. The pods stay where they are.
func (s *story) storageReturns(ctx context.Context, node string) error {
	before, err := s.whereabouts(ctx)
	if err != nil {
		return err
	}
	if err := s.sim.SetNodeState(ctx, node, storagev1alpha1.StorageOnline, ""); err != nil {
		return err
	}
	start := clock.RealClock{}.Now()
	if _, err := s.waitForState(ctx, node, storagev1alpha1.HealthHealthy); err != nil {
		return err
	}
	took := clock.RealClock{}.Since(start)
	after, err := s.whereabouts(ctx)
	if err != nil {
		return err
	}
	moved := movedPods(before, after)
	s.verdict(moved == 0, "its storage is back, and Healthy after %s; %d pods were moved back by force", seconds(took), moved)
	return nil
}

// whereabouts are the nodes of the pods that there are.
func (s *story) whereabouts(ctx context.Context) (map[types.UID]string, error) {
	pods, err := s.workloadIn(roostNamespace).Pods(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[types.UID]string, len(pods))
	for i := range pods {
		found[pods[i].UID] = pods[i].Spec.NodeName
	}
	return found, nil
}

// movedPods counts the pods that are not any more, or not where they were.
func movedPods(before, after map[types.UID]string) int {
	moved := 0
	for uid, node := range before {
		if after[uid] != node {
			moved++
		}
	}
	return moved
}
