// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// Fencing says who fences volumes from nodes.
type Fencing string

const (
	// FencingAutomatic fences what is attached to or published on a node that is cut off or Offline, where another node
	// has a usable replica.
	FencingAutomatic Fencing = "Automatic"
	// FencingManual fences what Fence names, and nothing else.
	FencingManual Fencing = "Manual"
)

// SetFencing sets who fences. What is fenced stays fenced.
func (c *Cluster) SetFencing(mode Fencing) error {
	switch mode {
	case FencingAutomatic, FencingManual:
	default:
		return errorf(Invalid, "mode: invalid value %q: must be Automatic or Manual", mode)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fencing = mode
	c.settleAllFences()
	return nil
}

// Fence has the storage system refuse whatever a node writes to a volume. Doing so again is no error. A fence from a node
// that can be reached and has nothing to do with the volume would be lifted at once, and is refused.
func (c *Cluster) Fence(handle, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, n, err := c.volumeAndNode(handle, name)
	if err != nil {
		return err
	}
	switch {
	case v.fenced[name]:
		return nil
	case !n.unreachable() && !v.heldBy(name):
		return errorf(Precondition, "volume %s is neither attached to nor published on node %s, which can be reached: there is nothing to fence", handle, name)
	case len(v.fenced) == MaxAttached:
		return errorf(Exhausted, "volume %s is fenced from %d nodes already, the most there can be", handle, MaxAttached)
	}
	c.fence(v, name)
	return nil
}

// Unfence lets a node write again. What is not fenced is as good as that.
func (c *Cluster) Unfence(handle, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, n, err := c.volumeAndNode(handle, name)
	if err != nil {
		return err
	}
	if !v.fenced[name] {
		return nil
	}
	if c.fencesItself(v, n) {
		return errorf(Precondition, "volume %s stays fenced from node %s, which cannot be reached, while fencing is %s: set it to %s before", handle, name, FencingAutomatic, FencingManual)
	}
	delete(v.fenced, name)
	c.notify(VolumeChanged, handle)
	c.recordPublished(v, name)
	return nil
}

// fence ends what the node may still be writing.
func (c *Cluster) fence(v *volume, node string) {
	v.fenced[node] = true
	delete(v.unconfirmed, node)
	c.notify(VolumeChanged, v.handle)
}

// settleFences sets the fences of a volume that are due and lifts those of nodes that are back and have let go of it.
func (c *Cluster) settleFences(v *volume) {
	for _, name := range v.holders() {
		n, ok := c.nodes[name]
		if ok && !v.fenced[name] && len(v.fenced) < MaxAttached && c.fencesItself(v, n) {
			c.fence(v, name)
		}
	}
	for _, name := range v.fencedNodes() {
		if n, ok := c.nodes[name]; ok && (n.unreachable() || v.heldBy(name)) {
			continue
		}
		delete(v.fenced, name)
		c.notify(VolumeChanged, v.handle)
	}
}

func (c *Cluster) settleAllFences() {
	for _, handle := range slices.Sorted(maps.Keys(c.volumes)) {
		c.settleFences(c.volumes[handle])
	}
}

// fencesItself tells whether the storage system fences a volume from a node without being told. It does not where that
// would leave nobody who can serve the volume.
func (c *Cluster) fencesItself(v *volume, n *node) bool {
	// A node that cannot be reached has no usable replica, so a usable one is another node's.
	return c.fencing == FencingAutomatic && n.unreachable() && v.heldBy(n.name) && len(c.usableNodes(v)) > 0
}

func (c *Cluster) volumeAndNode(handle, name string) (*volume, *node, error) {
	v, err := c.volume(handle)
	if err != nil {
		return nil, nil, err
	}
	n, ok := c.nodes[name]
	if !ok {
		return nil, nil, errorf(NotFound, "node %q does not exist", name)
	}
	return v, n, nil
}

// unreachable tells whether the storage system does not reach the node.
func (n *node) unreachable() bool {
	return n.cutOff || n.storage && n.state == storagev1alpha1.StorageOffline
}

// heldBy tells whether the volume is attached to or published on a node.
func (v *volume) heldBy(node string) bool {
	_, attached := v.attached[node]
	_, published := v.published[node]
	return attached || published
}

// holders are the nodes that the volume is attached to or published on.
func (v *volume) holders() []string {
	names := slices.Concat(v.attachedNodes(), v.publishedNodes())
	slices.Sort(names)
	return slices.Compact(names)
}

func (v *volume) fencedNodes() []string { return sortedKeys(v.fenced) }

func (v *volume) publishedNodes() []string { return sortedKeys(v.published) }

// sortedKeys are never nil, for the sake of JSON.
func sortedKeys[V any](m map[string]V) []string {
	names := slices.AppendSeq([]string{}, maps.Keys(m))
	slices.Sort(names)
	return names
}
