// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
)

const (
	// LabelRack is the topology label between hostname and zone.
	LabelRack = "topology.kubernetes.io/rack"
	// LabelStorage says on a node that simstorage keeps replicas there.
	LabelStorage = "sim.roost.dev/storage"

	annotationAttachDetach = "volumes.kubernetes.io/controller-managed-attach-detach"
	// annotationKwok, with the value fake, is on every node whose kubelet kwok plays. simstorage plays the rest of that
	// kubelet only there; kwok itself goes by LabelKubelet.
	annotationKwok = "kwok.x-k8s.io/node"

	// nodesReady is how long the nodes may take to be Ready; 300 take 10 seconds on two cores.
	nodesReady = 5 * time.Minute
	// writers is how many objects are written at a time.
	writers = 16
)

// NodeName is the name of the node with that index.
func NodeName(index int) string { return fmt.Sprintf("node-%03d", index) }

// place returns the rack and zone of a node. Racks are filled in order with equally many nodes, more or less one, and zones
// with equally many racks.
func (n Nodes) place(index int) (rack, zone string) {
	r := index * n.Racks / n.Count
	return fmt.Sprintf("rack-%02d", r), fmt.Sprintf("zone-%d", r*n.Zones/n.Racks)
}

// node is the Node object with that index. ready is for where nobody simulates kubelets.
func (n Nodes) node(index int, ready bool) *corev1.Node {
	name := NodeName(index)
	rack, zone := n.place(index)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:    n.CPU,
		corev1.ResourceMemory: n.Memory,
		corev1.ResourcePods:   *resource.NewQuantity(int64(n.Pods), resource.DecimalSI),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:       name,
				LabelRack:                  rack,
				corev1.LabelTopologyZone:   zone,
				corev1.LabelTopologyRegion: "region-1",
				corev1.LabelOSStable:       "linux",
				"type":                     "kwok",
				LabelStorage:               "true",
				LabelKubelet:               kubeletAlive,
			},
			Annotations: map[string]string{annotationAttachDetach: "true", annotationKwok: "fake"},
		},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
	if ready {
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Sandbox"}}
	}
	return node
}

// csiNode is what node-driver-registrar and the kubelet would write.
func (n Nodes) csiNode(node *corev1.Node) *storagev1.CSINode {
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, OwnerReferences: []metav1.OwnerReference{owner}},
		Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{n.csiDriver(node.Name)}},
	}
}

// csiDriver is the registration of simstorage's driver on a node.
func (n Nodes) csiDriver(node string) storagev1.CSINodeDriver {
	return storagev1.CSINodeDriver{
		Name:         Provisioner,
		NodeID:       node,
		TopologyKeys: []string{corev1.LabelHostname},
		Allocatable:  &storagev1.VolumeNodeResources{Count: ptr.To(n.Volumes)},
	}
}

// createNodes makes the Node and CSINode objects.
func (s *Sandbox) createNodes(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range s.opts.Nodes.Count {
		group.Go(func() error {
			node := s.opts.Nodes.node(i, !s.opts.has(Kwok))
			if s.execs != nil {
				setKubeletEndpoint(node, s.execs.Port())
			}
			if err := s.Client.Create(ctx, node); err != nil {
				return fmt.Errorf("creating node %s: %w", node.Name, err)
			}
			if err := s.Client.Create(ctx, s.opts.Nodes.csiNode(node)); err != nil {
				return fmt.Errorf("creating CSINode %s: %w", node.Name, err)
			}
			return s.untaint(ctx, node)
		})
	}
	return group.Wait()
}

// untaint takes off what admission gives to every new node, where nobody else does.
func (s *Sandbox) untaint(ctx context.Context, node *corev1.Node) error {
	if s.opts.has(Kwok) || s.opts.has(ControllerManager) {
		return nil
	}
	node.Spec.Taints = nil
	if err := s.Client.Update(ctx, node); err != nil {
		return fmt.Errorf("removing the taints of node %s: %w", node.Name, err)
	}
	return nil
}

// waitForNodes waits until every node is Ready and can take pods.
func (s *Sandbox) waitForNodes(ctx context.Context) error {
	ready := 0
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, nodesReady, true, func(ctx context.Context) (bool, error) {
		var nodes corev1.NodeList
		if err := s.Client.List(ctx, &nodes); err != nil {
			return false, fmt.Errorf("listing nodes: %w", err)
		}
		ready = 0
		for i := range nodes.Items {
			if schedulable(&nodes.Items[i]) {
				ready++
			}
		}
		return ready >= s.opts.Nodes.Count, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for nodes, %d of %d ready: %w", ready, s.opts.Nodes.Count, err)
	}
	return nil
}

func schedulable(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return len(node.Spec.Taints) == 0
		}
	}
	return false
}
