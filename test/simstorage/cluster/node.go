// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// maxMessage is the most characters a StorageReport's message can have.
const maxMessage = 1024

// Node is a view of a Kubernetes node.
type Node struct {
	Name string `json:"name"`
	// Storage tells whether the node has a pool. The fields below it are empty where it has none.
	Storage       bool                         `json:"storage"`
	State         storagev1alpha1.StorageState `json:"state,omitempty"`
	Message       string                       `json:"message,omitempty"`
	CutOff        bool                         `json:"cutOff,omitempty"`
	CapacityBytes int64                        `json:"capacityBytes,omitempty"`
	UsedBytes     int64                        `json:"usedBytes,omitempty"`
}

// Report is what the storage system's control plane says of a storage node: of one that is cut off, that it is Offline,
// whatever state was set.
func (n Node) Report() (state storagev1alpha1.StorageState, message string) {
	if n.CutOff {
		return storagev1alpha1.StorageOffline, n.Name + " is cut off: the other nodes do not hear from it"
	}
	return n.State, n.Message
}

type node struct {
	name    string
	labels  Segments
	storage bool
	state   storagev1alpha1.StorageState
	message string
	cutOff  bool
}

// healthy tells whether the node's pool serves data and takes new replicas.
func (n *node) healthy() bool {
	serves := n.state == storagev1alpha1.StorageOnline || n.state == storagev1alpha1.StorageDegraded
	return n.storage && serves && !n.cutOff
}

// SetNode records a Kubernetes node, its labels, and whether it is a storage node. A new node is Online.
func (c *Cluster) SetNode(name string, labels map[string]string, storage bool) {
	segments := Segments{}
	for _, key := range TopologyKeys() {
		if value, ok := labels[key]; ok {
			segments[key] = value
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[name]
	if !ok {
		n = &node{name: name, state: storagev1alpha1.StorageOnline}
		c.nodes[name] = n
	}
	if ok && n.storage == storage && maps.Equal(n.labels, segments) {
		return
	}
	concerned := n.storage || storage
	n.labels, n.storage = segments, storage
	if concerned {
		c.notify(NodeChanged, name)
		c.settleAllFences()
	}
}

// RemoveNode forgets a node and its faults. The replicas on it stay. With the node gone for good, nothing on it writes
// any more, so what was forcibly detached from it, published on it or fenced from it is forgotten too.
func (c *Cluster) RemoveNode(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[name]
	if !ok {
		return
	}
	delete(c.nodes, name)
	c.forgetNode(name)
	if n.storage {
		c.notify(NodeChanged, name)
	}
	c.settleAllFences()
}

// SetNodeState sets the storage state of a storage node. The replicas on it keep their states.
func (c *Cluster) SetNodeState(name string, state storagev1alpha1.StorageState, message string) error {
	switch state {
	case storagev1alpha1.StorageOnline, storagev1alpha1.StorageDegraded, storagev1alpha1.StorageDown,
		storagev1alpha1.StorageMaintenance, storagev1alpha1.StorageOffline:
	default:
		return errorf(Invalid, "state: invalid value %q: must be Online, Degraded, StorageDown, Maintenance or Offline", state)
	}
	if length := utf8.RuneCountInString(message); length > maxMessage {
		return errorf(Invalid, "message: invalid length %d: must be at most %d characters", length, maxMessage)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.storageNode(name)
	if err != nil {
		return err
	}
	n.state, n.message = state, message
	c.notify(NodeChanged, name)
	c.settleAllFences()
	return nil
}

// SetCutOff cuts a storage node off from the rest of the storage system, or reconnects it. While it is cut off it is
// reported as Offline, its replicas are not usable, nothing new can be attached to it, and what is attached to it cannot
// be detached, because the node does not confirm, unless it is fenced. When it is reconnected it learns what was detached.
func (c *Cluster) SetCutOff(name string, cutOff bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.storageNode(name)
	if err != nil {
		return err
	}
	n.cutOff = cutOff
	if !cutOff {
		c.forgetUnconfirmed(name)
	}
	c.notify(NodeChanged, name)
	c.settleAllFences()
	return nil
}

// Node returns one node, and false when there is none of that name.
func (c *Cluster) Node(name string) (Node, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[name]
	if !ok {
		return Node{}, false
	}
	return c.nodeView(n), true
}

// Nodes returns all nodes, sorted by name.
func (c *Cluster) Nodes() []Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	views := make([]Node, 0, len(c.nodes))
	for _, n := range c.nodes {
		views = append(views, c.nodeView(n))
	}
	slices.SortFunc(views, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return views
}

func (c *Cluster) nodeView(n *node) Node {
	if !n.storage {
		return Node{Name: n.name}
	}
	return Node{
		Name: n.name, Storage: true, State: n.state, Message: n.message, CutOff: n.cutOff,
		CapacityBytes: c.poolCapacity, UsedBytes: c.used[n.name],
	}
}

func (c *Cluster) storageNode(name string) (*node, error) {
	n, ok := c.nodes[name]
	if !ok {
		return nil, errorf(NotFound, "node %q does not exist", name)
	}
	if !n.storage {
		return nil, errorf(NotFound, "node %q is not a storage node", name)
	}
	return n, nil
}

func (c *Cluster) free(name string) int64 { return c.poolCapacity - c.used[name] }
