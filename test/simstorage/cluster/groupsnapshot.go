// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"time"
)

const groupPrefix = "group-"

// GroupSnapshot is a view of snapshots of several volumes that were all cut at the same moment.
type GroupSnapshot struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// CutTime is the moment of all the cuts, and ReportedTime what Kubernetes is told of it.
	CutTime      time.Time `json:"cutTime"`
	ReportedTime time.Time `json:"reportedTime"`
	// Snapshots are the members, sorted by their volumes' handles.
	Snapshots []Snapshot `json:"snapshots"`
	// Ready tells whether all members are.
	Ready bool `json:"ready"`
}

type groupSnapshot struct {
	id, name string
	cutTime  time.Time
	// handles are sorted, and members are the ids of their snapshots, in the same order.
	handles, members []string
}

// CreateGroupSnapshot takes a snapshot of each volume, all or none, or returns the group of that name when it is of exactly
// those volumes.
func (c *Cluster) CreateGroupSnapshot(name string, handles []string) (GroupSnapshot, error) {
	if name == "" {
		return GroupSnapshot{}, errorf(Invalid, "name: must not be empty")
	}
	if len(handles) == 0 {
		return GroupSnapshot{}, errorf(Invalid, "source_volume_ids: must not be empty")
	}
	handles = slices.Compact(slices.Sorted(slices.Values(handles)))
	c.mu.Lock()
	defer c.mu.Unlock()
	id := identifier(groupPrefix, name)
	if g, ok := c.groups[id]; ok {
		if g.name != name || !slices.Equal(g.handles, handles) {
			return GroupSnapshot{}, errorf(Exists, "group snapshot %q exists with other sources: volumes %v", g.name, g.handles)
		}
		return c.groupView(g), nil
	}
	g := &groupSnapshot{id: id, name: name, cutTime: c.clock.Now(), handles: handles}
	members := make([]*Snapshot, 0, len(handles))
	for _, handle := range handles {
		s, err := c.cut(name+"/"+handle, handle, g.cutTime)
		if err != nil {
			return GroupSnapshot{}, err
		}
		s.GroupID = id
		members, g.members = append(members, s), append(g.members, s.ID)
	}
	for _, s := range members {
		c.snapshots[s.ID] = s
	}
	c.groups[id] = g
	return c.groupView(g), nil
}

// DeleteGroupSnapshot deletes a group and its members. snapshotIDs, unless it is empty, must be theirs. A group that does not
// exist is as good as deleted.
func (c *Cluster) DeleteGroupSnapshot(id string, snapshotIDs []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.groups[id]
	if !ok {
		return nil
	}
	if err := g.matches(snapshotIDs); err != nil {
		return err
	}
	for _, member := range g.members {
		delete(c.snapshots, member)
	}
	delete(c.groups, id)
	return nil
}

// GroupSnapshot returns one group. snapshotIDs, unless it is empty, must be its members'.
func (c *Cluster) GroupSnapshot(id string, snapshotIDs []string) (GroupSnapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.groups[id]
	if !ok {
		return GroupSnapshot{}, errorf(NotFound, "group snapshot %q does not exist", id)
	}
	if err := g.matches(snapshotIDs); err != nil {
		return GroupSnapshot{}, err
	}
	return c.groupView(g), nil
}

// GroupSnapshots returns all groups, sorted by id.
func (c *Cluster) GroupSnapshots() []GroupSnapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	views := make([]GroupSnapshot, 0, len(c.groups))
	for _, id := range slices.Sorted(maps.Keys(c.groups)) {
		views = append(views, c.groupView(c.groups[id]))
	}
	return views
}

func (g *groupSnapshot) matches(snapshotIDs []string) error {
	if len(snapshotIDs) == 0 {
		return nil
	}
	wanted := slices.Compact(slices.Sorted(slices.Values(snapshotIDs)))
	if members := slices.Sorted(slices.Values(g.members)); !slices.Equal(wanted, members) {
		return errorf(Invalid, "snapshot_ids: invalid value %v: must be those of group snapshot %s, which are %v", wanted, g.id, members)
	}
	return nil
}

func (c *Cluster) groupView(g *groupSnapshot) GroupSnapshot {
	view := GroupSnapshot{ID: g.id, Name: g.name, CutTime: g.cutTime, Ready: true}
	for _, id := range g.members {
		member := c.snapshotView(c.snapshots[id])
		view.Snapshots = append(view.Snapshots, member)
		view.Ready = view.Ready && member.Ready
		if member.ReportedTime.After(view.ReportedTime) {
			view.ReportedTime = member.ReportedTime
		}
	}
	return view
}
