// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"time"
)

// MaxAttached is the most nodes a volume can be attached to; a VolumeTopology holds no more.
const MaxAttached = 256

// Sharing says on how many nodes a volume may be at once.
type Sharing string

const (
	// SingleNode is one node at a time.
	SingleNode Sharing = "SingleNode"
	// SingleWriter is many nodes, one of which may write.
	SingleWriter Sharing = "SingleWriter"
	// Shared is many nodes, all of which may write unless they are attached read-only.
	Shared Sharing = "Shared"
)

// Attach asks for a volume on a node.
type Attach struct {
	Handle, Node string
	Sharing      Sharing
	ReadOnly     bool
}

// Violation is a volume for one writer that two nodes could write to at once.
type Violation struct {
	Time   time.Time `json:"time"`
	Handle string    `json:"handle"`
	// Nodes are the node that could still write and the node that was allowed to as well.
	Nodes   []string `json:"nodes"`
	Message string   `json:"message"`
}

type attachment struct {
	sharing  Sharing
	readOnly bool
}

func (a attachment) excludes(b attachment) bool {
	if a.sharing == SingleNode || b.sharing == SingleNode {
		return true
	}
	oneWriter := a.sharing == SingleWriter || b.sharing == SingleWriter
	return oneWriter && !a.readOnly && !b.readOnly
}

// AttachVolume attaches a volume to a node. Doing so again is no error.
func (c *Cluster) AttachVolume(a Attach) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, n, err := c.volumeAndNode(a.Handle, a.Node)
	if err != nil {
		return err
	}
	if v.fenced[a.Node] {
		return errorf(Precondition, "volume %s is fenced from node %s until the node can be reached and the volume is neither attached to nor published on it", v.handle, a.Node)
	}
	wanted := attachment{sharing: a.Sharing, readOnly: a.ReadOnly}
	if present, ok := v.attached[a.Node]; ok {
		if present != wanted {
			return errorf(Exists, "volume %s is attached to node %s in another way: %s, read-only %t", v.handle, a.Node, present.sharing, present.readOnly)
		}
		return nil
	}
	if err := c.attachable(v, n, wanted); err != nil {
		return err
	}
	c.recordViolations(v, a.Node, wanted)
	delete(v.unconfirmed, a.Node)
	v.attached[a.Node] = wanted
	c.notify(VolumeChanged, v.handle)
	return nil
}

// DetachVolume detaches a volume from a node, or from all when node is empty. What is not attached is as good as
// detached. A node that is cut off does not confirm, and nothing is detached from it but what it is fenced from: that
// need not be confirmed.
func (c *Cluster) DetachVolume(handle, node string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[handle]
	if !ok {
		return nil
	}
	nodes := []string{node}
	if node == "" {
		nodes = v.attachedNodes()
	}
	for _, name := range nodes {
		if _, attached := v.attached[name]; !attached {
			continue
		}
		if n, ok := c.nodes[name]; ok && n.cutOff && !v.fenced[name] {
			return errorf(Unavailable, "node %s is cut off and does not confirm that it let go of volume %s", name, handle)
		}
		delete(v.attached, name)
		c.notify(VolumeChanged, handle)
		c.settleFences(v)
	}
	return nil
}

// ForceDetach ends an attachment without asking the node, as a careless operator would. Where the node is cut off it
// may go on writing until it is reconnected, unless it is fenced.
func (c *Cluster) ForceDetach(handle, node string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(handle)
	if err != nil {
		return err
	}
	ended, ok := v.attached[node]
	if !ok {
		return errorf(NotFound, "volume %s is not attached to node %q", handle, node)
	}
	delete(v.attached, node)
	if n, ok := c.nodes[node]; ok && n.cutOff && !v.fenced[node] {
		v.unconfirmed[node] = ended
	}
	c.notify(VolumeChanged, handle)
	c.settleFences(v)
	return nil
}

// Violations returns what was recorded, oldest first.
func (c *Cluster) Violations() []Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Violation{}, c.violations...)
}

func (c *Cluster) attachable(v *volume, n *node, wanted attachment) error {
	for _, other := range v.attachedNodes() {
		if v.attached[other].excludes(wanted) {
			return errorf(Precondition, "volume %s cannot be attached to node %s as %s: it is attached to node %s as %s",
				v.handle, n.name, wanted.sharing, other, v.attached[other].sharing)
		}
	}
	if len(v.attached) == MaxAttached {
		return errorf(Exhausted, "volume %s is attached to %d nodes already, the most there can be", v.handle, MaxAttached)
	}
	if v.class.Access == AccessReplicas && v.replicaOn(n.name) < 0 {
		return errorf(Precondition, "volume %s can be attached to nodes with a replica only, and node %s has none", v.handle, n.name)
	}
	if n.unreachable() {
		return errorf(Unavailable, "the storage of node %s cannot be reached", n.name)
	}
	if len(c.usableNodes(v)) == 0 {
		return errorf(Unavailable, "volume %s has no usable replica: none is InSync on a node that is Online or Degraded", v.handle)
	}
	return nil
}

func (c *Cluster) recordViolations(v *volume, node string, wanted attachment) {
	for _, other := range slices.Sorted(maps.Keys(v.unconfirmed)) {
		held := v.unconfirmed[other]
		if other == node || held.readOnly || wanted.readOnly || !held.excludes(wanted) {
			continue
		}
		c.violations = append(c.violations, Violation{
			Time: c.clock.Now(), Handle: v.handle, Nodes: []string{other, node},
			Message: "attached to " + node + " while " + other + ", cut off and detached by force, may still write",
		})
	}
}

// forgetUnconfirmed ends what a node may still be writing to.
func (c *Cluster) forgetUnconfirmed(node string) {
	for _, v := range c.volumes {
		delete(v.unconfirmed, node)
	}
}

// forgetNode ends what a node that is gone had to do with volumes.
func (c *Cluster) forgetNode(node string) {
	c.forgetUnconfirmed(node)
	for _, v := range c.volumes {
		delete(v.published, node)
	}
}

func (v *volume) attachedNodes() []string { return sortedKeys(v.attached) }
