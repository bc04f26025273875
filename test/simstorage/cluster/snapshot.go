// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"time"
)

const snapshotPrefix = "snap-"

// Snapshot is a view of a snapshot.
type Snapshot struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	SourceHandle string `json:"sourceHandle"`
	SizeBytes    int64  `json:"sizeBytes"`
	// CutTime is the moment the content was fixed, and ReadyTime when volumes can be made from it.
	CutTime   time.Time `json:"cutTime"`
	ReadyTime time.Time `json:"readyTime"`
	// Nodes are the nodes that have the data.
	Nodes []string `json:"nodes"`
	Ready bool     `json:"ready"`
}

// CreateSnapshot takes a snapshot of a volume, or returns the one of that name when it is of that volume.
func (c *Cluster) CreateSnapshot(name, sourceHandle string) (Snapshot, error) {
	if name == "" {
		return Snapshot{}, errorf(Invalid, "name: must not be empty")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := identifier(snapshotPrefix, name)
	if s, ok := c.snapshots[id]; ok {
		if s.Name != name || s.SourceHandle != sourceHandle {
			return Snapshot{}, errorf(Exists, "snapshot %q exists with another source: volume %s", s.Name, s.SourceHandle)
		}
		return c.snapshotView(s), nil
	}
	v, err := c.volume(sourceHandle)
	if err != nil {
		return Snapshot{}, err
	}
	if c.faults.SnapshotsFail {
		return Snapshot{}, errorf(Internal, "snapshot %q of volume %s failed: a fault was injected", name, sourceHandle)
	}
	nodes := c.usableNodes(v)
	if len(nodes) == 0 {
		return Snapshot{}, errorf(Unavailable, "volume %s has no usable replica to take a snapshot of", sourceHandle)
	}
	now := c.clock.Now()
	s := &Snapshot{
		ID: id, Name: name, SourceHandle: sourceHandle, SizeBytes: v.size,
		CutTime: now, ReadyTime: now.Add(c.faults.SnapshotDelay), Nodes: nodes,
	}
	c.snapshots[id] = s
	return c.snapshotView(s), nil
}

// DeleteSnapshot deletes a snapshot. One that does not exist is as good as deleted.
func (c *Cluster) DeleteSnapshot(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.snapshots, id)
}

// Snapshots returns all snapshots, sorted by id. They outlive the volume that they were taken of.
func (c *Cluster) Snapshots() []Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	views := make([]Snapshot, 0, len(c.snapshots))
	for _, id := range slices.Sorted(maps.Keys(c.snapshots)) {
		views = append(views, c.snapshotView(c.snapshots[id]))
	}
	return views
}

func (c *Cluster) snapshotView(s *Snapshot) Snapshot {
	view := *s
	view.Nodes = slices.Clone(s.Nodes)
	view.Ready = !c.clock.Now().Before(s.ReadyTime)
	return view
}

func (c *Cluster) readySnapshot(id string) (Snapshot, error) {
	s, ok := c.snapshots[id]
	if !ok {
		return Snapshot{}, errorf(NotFound, "snapshot %q does not exist", id)
	}
	view := c.snapshotView(s)
	if !view.Ready {
		return Snapshot{}, errorf(Unavailable, "snapshot %s is not ready to use", id)
	}
	return view, nil
}
