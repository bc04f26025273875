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
	// GroupID is the group that the snapshot is a member of, if any. It cannot be deleted without the group.
	GroupID string `json:"groupID,omitempty"`
	// CutTime is the moment the content was fixed, and ReadyTime when volumes can be made from it.
	CutTime   time.Time `json:"cutTime"`
	ReadyTime time.Time `json:"readyTime"`
	// ReportedTime and ReportedBytes are what Kubernetes is told of CutTime and SizeBytes. Only a fault makes them differ.
	ReportedTime  time.Time `json:"reportedTime"`
	ReportedBytes int64     `json:"reportedBytes"`
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
	s, err := c.cut(name, sourceHandle, c.clock.Now())
	if err != nil {
		return Snapshot{}, err
	}
	c.snapshots[s.ID] = s
	return c.snapshotView(s), nil
}

// cut makes a snapshot of a volume and does not keep it yet.
func (c *Cluster) cut(name, sourceHandle string, now time.Time) (*Snapshot, error) {
	v, err := c.volume(sourceHandle)
	if err != nil {
		return nil, err
	}
	faults := c.faults.Snapshots.of(sourceHandle)
	if faults.Fail {
		return nil, errorf(Internal, "snapshot %q of volume %s failed: a fault was injected", name, sourceHandle)
	}
	nodes := c.usableNodes(v)
	if len(nodes) == 0 {
		return nil, errorf(Unavailable, "volume %s has no usable replica to take a snapshot of", sourceHandle)
	}
	s := &Snapshot{
		ID: identifier(snapshotPrefix, name), Name: name, SourceHandle: sourceHandle, SizeBytes: v.size, ReportedBytes: v.size,
		CutTime: now, ReadyTime: now.Add(faults.ReadyDelay), ReportedTime: now.Add(faults.Skew), Nodes: nodes,
	}
	if faults.NoSize {
		s.ReportedBytes = 0
	}
	return s, nil
}

// DeleteSnapshot deletes a snapshot. One that does not exist is as good as deleted; one of a group goes with its group alone.
func (c *Cluster) DeleteSnapshot(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.snapshots[id]; ok && s.GroupID != "" {
		return errorf(Invalid, "snapshot %s is part of the group snapshot %s and cannot be deleted alone", id, s.GroupID)
	}
	delete(c.snapshots, id)
	return nil
}

// IsCut tells whether there is a snapshot or a group of that name.
func (c *Cluster) IsCut(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshots[identifier(snapshotPrefix, name)] != nil || c.groups[identifier(groupPrefix, name)] != nil
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
