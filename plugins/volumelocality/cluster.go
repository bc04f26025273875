// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/drivers"
	"roost.dev/roost/volumelocality"
)

// cluster answers from the cycle's snapshot of nodes and the drivers' memory.
type cluster struct {
	nodes    fwk.NodeInfoLister
	registry *drivers.Registry
}

var _ volumelocality.Cluster = cluster{}

func (pl *VolumeLocality) cluster() cluster {
	return cluster{nodes: pl.handle.SnapshotSharedLister().NodeInfos(), registry: pl.registry}
}

// Node implements volumelocality.Cluster.
func (c cluster) Node(name string) (volumelocality.Node, bool) {
	info, err := c.nodes.Get(name)
	if err != nil {
		return volumelocality.Node{}, false
	}
	return nodeOf(info), true
}

// State implements volumelocality.Cluster.
func (c cluster) State(provisioner, node string) drivers.StorageState {
	return c.registry.NodeReport(provisioner, node).State
}

func nodeOf(info fwk.NodeInfo) volumelocality.Node {
	node := info.Node()
	return volumelocality.Node{Name: node.Name, Labels: node.Labels}
}
