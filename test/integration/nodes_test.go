// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/internal/sandbox"
)

// allNodes are the names of the sandbox's nodes.
func allNodes() []string {
	names := make([]string, 0, nodeCount)
	for i := range nodeCount {
		names = append(names, sandbox.NodeName(i))
	}
	return names
}

// rackmates are the nodes in the racks of the given ones, without those.
func (s *space) rackmates(ctx context.Context, nodes []string) []string {
	GinkgoHelper()
	return without(s.sharing(ctx, sandbox.LabelRack, nodes), nodes)
}

// zonemates are the nodes in the zones of the given ones, without those in their racks.
func (s *space) zonemates(ctx context.Context, nodes []string) []string {
	GinkgoHelper()
	return without(s.sharing(ctx, corev1.LabelTopologyZone, nodes), s.sharing(ctx, sandbox.LabelRack, nodes))
}

// strangers are the nodes in other zones.
func (s *space) strangers(ctx context.Context, nodes []string) []string {
	GinkgoHelper()
	return without(allNodes(), s.sharing(ctx, corev1.LabelTopologyZone, nodes))
}

// sharing are all nodes with the label's value of one of the given ones.
func (s *space) sharing(ctx context.Context, label string, nodes []string) []string {
	GinkgoHelper()
	var list corev1.NodeList
	Expect(s.client.List(ctx, &list)).To(Succeed())
	var values, names []string
	for _, node := range list.Items {
		if slices.Contains(nodes, node.Name) {
			values = append(values, node.Labels[label])
		}
	}
	for _, node := range list.Items {
		if slices.Contains(values, node.Labels[label]) {
			names = append(names, node.Name)
		}
	}
	return names
}

func without(names, unwanted []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(unwanted, name) })
}
