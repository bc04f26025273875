// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustGroup(t *testing.T, c *Cluster, name string, handles ...string) GroupSnapshot {
	t.Helper()
	group, err := c.CreateGroupSnapshot(name, handles)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func TestGroupSnapshotIsCutAtOneMoment(t *testing.T) {
	c, clock := testCluster(t)
	a, b := mustCreate(t, c, request("a", 1)), mustCreate(t, c, request("b", 1))
	if err := c.SetSnapshots(SnapshotFaults{ReadyDelay: time.Minute, Volumes: []string{b.Handle}}); err != nil {
		t.Fatal(err)
	}
	group := mustGroup(t, c, "g", b.Handle, a.Handle, b.Handle)
	if len(group.Snapshots) != 2 {
		t.Fatalf("snapshots = %v, want one a volume", group.Snapshots)
	}
	for _, member := range group.Snapshots {
		if !member.CutTime.Equal(start) || member.GroupID != group.ID {
			t.Errorf("member = %+v, want it cut with the group", member)
		}
	}
	if group.Ready {
		t.Error("the group is ready before its last member is")
	}
	clock.Step(time.Minute)
	again := mustGroup(t, c, "g", a.Handle, b.Handle)
	if !again.Ready || !again.CutTime.Equal(start) {
		t.Errorf("group = %+v, want it ready, and cut when it first was", again)
	}
	if diff := cmp.Diff([]GroupSnapshot{again}, c.GroupSnapshots()); diff != "" {
		t.Errorf("group snapshots (-want +got):\n%s", diff)
	}
	_, err := c.CreateGroupSnapshot("g", []string{a.Handle})
	wantError(t, err, Exists, `"g"`)
}

func TestGroupSnapshotIsAllOrNothing(t *testing.T) {
	c, _ := testCluster(t)
	a, b := mustCreate(t, c, request("a", 1)), mustCreate(t, c, request("b", 1))
	if err := c.SetSnapshots(SnapshotFaults{Fail: true, Volumes: []string{b.Handle}}); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateGroupSnapshot("g", []string{a.Handle, b.Handle})
	wantError(t, err, Internal, b.Handle, "fault")
	if len(c.Snapshots()) != 0 || len(c.GroupSnapshots()) != 0 || c.IsCut("g") {
		t.Errorf("snapshots = %v after a group that failed, want none", c.Snapshots())
	}
	if _, err := c.CreateSnapshot("s", a.Handle); err != nil {
		t.Errorf("snapshot of the other volume: %v", err)
	}
	for _, tc := range []struct {
		name    string
		handles []string
		reason  Reason
		word    string
	}{
		{"", []string{a.Handle}, Invalid, "name"},
		{"h", nil, Invalid, "source_volume_ids"},
		{"h", []string{"vol-none"}, NotFound, "vol-none"},
	} {
		_, err := c.CreateGroupSnapshot(tc.name, tc.handles)
		wantError(t, err, tc.reason, tc.word)
	}
}

func TestMembersAreDeletedWithTheirGroupAlone(t *testing.T) {
	c, _ := testCluster(t)
	a := mustCreate(t, c, request("a", 1))
	group := mustGroup(t, c, "g", a.Handle)
	member := group.Snapshots[0].ID
	wantError(t, c.DeleteSnapshot(member), Invalid, member, group.ID)
	wantError(t, c.DeleteGroupSnapshot(group.ID, []string{"snap-other"}), Invalid, "snap-other")
	_, err := c.GroupSnapshot(group.ID, []string{"snap-other"})
	wantError(t, err, Invalid, "snap-other")
	_, err = c.GroupSnapshot("group-none", nil)
	wantError(t, err, NotFound, "group-none")
	if got, err := c.GroupSnapshot(group.ID, []string{member}); err != nil || len(got.Snapshots) != 1 {
		t.Errorf("group = %v, %v", got, err)
	}
	for range 2 {
		if err := c.DeleteGroupSnapshot(group.ID, []string{member}); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Snapshots(); len(got) != 0 {
		t.Errorf("snapshots = %v after their group, want none", got)
	}
}

func TestSnapshotFaultsOfWhatIsReported(t *testing.T) {
	c, _ := testCluster(t)
	v := mustCreate(t, c, request("v", 1))
	if err := c.SetSnapshots(SnapshotFaults{Skew: time.Hour, NoSize: true, CutDelay: time.Second}); err != nil {
		t.Fatal(err)
	}
	if got := c.CutDelay(v.Handle); got != time.Second {
		t.Errorf("cut delay = %s, want 1s", got)
	}
	s, err := c.CreateSnapshot("s", v.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if s.ReportedBytes != 0 || s.SizeBytes != gib || !s.ReportedTime.Equal(start.Add(time.Hour)) || !s.CutTime.Equal(start) {
		t.Errorf("snapshot = %+v, want size 0 and a time ahead to be reported, and the truth kept", s)
	}
	if group := mustGroup(t, c, "g", v.Handle); !group.ReportedTime.Equal(start.Add(time.Hour)) {
		t.Errorf("group reports %s, want a time ahead", group.ReportedTime)
	}
}
