// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

func TestReplicaStates(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 1)
	r.Requirement.Preferred = []Segments{hostname("a-1-x")}
	v := mustCreate(t, c, r)
	for _, step := range []error{
		c.SetReplicaState(v.Handle, "a-1-x", storagev1alpha1.ReplicaStale),
		c.SetReplicaState(v.Handle, "b-1-x", storagev1alpha1.ReplicaRebuilding),
		c.SetReplicaState(v.Handle, "c-1-x", storagev1alpha1.ReplicaInSync),
		c.RemoveReplica(v.Handle, "c-1-x"),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	got, err := c.Volume(v.Handle)
	if err != nil {
		t.Fatal(err)
	}
	want := []Replica{{"a-1-x", storagev1alpha1.ReplicaStale}, {"b-1-x", storagev1alpha1.ReplicaRebuilding}}
	if diff := cmp.Diff(want, got.Replicas); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	if got := totalUsed(c); got != 2*gib {
		t.Errorf("used = %d, want one size a replica", got)
	}
}

func TestReplicaErrors(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 1)
	r.RequiredBytes, r.Requirement.Preferred = 60*gib, []Segments{hostname("a-1-x")}
	v := mustCreate(t, c, r)
	r.Name, r.Requirement.Preferred = "other", []Segments{hostname("b-1-x")}
	mustCreate(t, c, r)
	for name, tc := range map[string]struct {
		err    error
		reason Reason
		words  []string
	}{
		"a state that does not exist": {c.SetReplicaState(v.Handle, "a-1-x", "Broken"), Invalid, []string{`"Broken"`, "InSync, Rebuilding, Stale or Failed"}},
		"no such volume":              {c.SetReplicaState("vol-none", "a-1-x", storagev1alpha1.ReplicaInSync), NotFound, []string{"vol-none"}},
		"a node without storage":      {c.SetReplicaState(v.Handle, "client", storagev1alpha1.ReplicaInSync), NotFound, []string{"client"}},
		"a node that does not exist":  {c.SetReplicaState(v.Handle, "nowhere", storagev1alpha1.ReplicaInSync), NotFound, []string{"nowhere"}},
		"a node without room":         {c.SetReplicaState(v.Handle, "b-1-x", storagev1alpha1.ReplicaInSync), Exhausted, []string{"b-1-x", fmt.Sprint(40 * gib)}},
		"losing what is not there":    {c.RemoveReplica(v.Handle, "c-1-x"), NotFound, []string{"c-1-x"}},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, tc.err, tc.reason, tc.words...) })
	}
}

func TestMostReplicas(t *testing.T) {
	c, _ := testCluster(t)
	for i := range MaxReplicas + 1 {
		name := fmt.Sprint("extra-", i)
		c.SetNode(name, nodeLabels(name, "1", "a"), true)
	}
	v := mustCreate(t, c, request("v", MaxReplicas))
	for _, n := range c.Nodes() {
		if n.Storage && !strings.Contains(fmt.Sprint(nodesOf(v)), n.Name) {
			wantError(t, c.SetReplicaState(v.Handle, n.Name, storagev1alpha1.ReplicaInSync), Exhausted, "64")
			return
		}
	}
	t.Fatal("every node has a replica")
}

func TestNodeStates(t *testing.T) {
	c, _ := testCluster(t)
	if err := c.SetNodeState("a-1-x", storagev1alpha1.StorageDown, "disk gone"); err != nil {
		t.Fatal(err)
	}
	setCutOff(t, c, "a-1-x", true)
	got, _ := c.Node("a-1-x")
	want := Node{Name: "a-1-x", Storage: true, State: storagev1alpha1.StorageDown, Message: "disk gone", CutOff: true, CapacityBytes: pool}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	wantError(t, c.SetNodeState("a-1-x", "Broken", ""), Invalid, `"Broken"`, "Online, Degraded, StorageDown, Maintenance or Offline")
	wantError(t, c.SetNodeState("a-1-x", storagev1alpha1.StorageOnline, strings.Repeat("x", 1025)), Invalid, "message", "1025", "1024")
	wantError(t, c.SetNodeState("client", storagev1alpha1.StorageOnline, ""), NotFound, "client", "not a storage node")
	wantError(t, c.SetCutOff("nowhere", true), NotFound, "nowhere")
}

func TestVolumesSurviveTheirNode(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 1)
	r.Requirement.Preferred = []Segments{hostname("a-1-x")}
	v := mustCreate(t, c, r)
	c.RemoveNode("a-1-x")
	if _, ok := c.Node("a-1-x"); ok {
		t.Error("the node is still there")
	}
	c.SetNode("a-1-x", nodeLabels("a-1-x", "1", "a"), true)
	attach(t, c, v.Handle, "b-1-x")
	if n, _ := c.Node("a-1-x"); n.UsedBytes != gib {
		t.Errorf("used = %d when the node is back, want %d", n.UsedBytes, gib)
	}
}

func TestSnapshots(t *testing.T) {
	c, clock := testCluster(t)
	r := request("v", 2)
	r.Requirement.Requisite = []Segments{hostname("a-1-x"), hostname("b-1-x")}
	v := mustCreate(t, c, r)
	if err := c.SetSnapshots(SnapshotFaults{ReadyDelay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	snapshot, err := c.CreateSnapshot("s", v.Handle)
	if err != nil {
		t.Fatal(err)
	}
	want := Snapshot{
		ID: snapshot.ID, Name: "s", SourceHandle: v.Handle, SizeBytes: gib, ReportedBytes: gib,
		CutTime: start, ReportedTime: start, ReadyTime: start.Add(time.Minute), Nodes: nodesOf(v),
	}
	if diff := cmp.Diff(want, snapshot); diff != "" {
		t.Errorf("slow snapshot (-want +got):\n%s", diff)
	}
	restore := request("restored", 1)
	restore.Source.SnapshotID = snapshot.ID
	_, err = c.CreateVolume(restore)
	wantError(t, err, Unavailable, snapshot.ID, "not ready")

	clock.Step(time.Minute)
	want.Ready = true
	if diff := cmp.Diff([]Snapshot{want}, c.Snapshots()); diff != "" {
		t.Errorf("snapshots after the delay (-want +got):\n%s", diff)
	}
	again, err := c.CreateSnapshot("s", v.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("the same snapshot again (-want +got):\n%s", diff)
	}
	other := mustCreate(t, c, request("other", 1))
	_, err = c.CreateSnapshot("s", other.Handle)
	wantError(t, err, Exists, `"s"`)

	if err := c.DeleteVolume(v.Handle); err != nil {
		t.Fatal(err)
	}
	if restored := nodesOf(mustCreate(t, c, restore)); restored[0] != "a-1-x" && restored[0] != "b-1-x" {
		t.Errorf("restored on %v, want a node with the snapshot's data", restored)
	}
	if err := errors.Join(c.DeleteSnapshot(snapshot.ID), c.DeleteSnapshot(snapshot.ID)); err != nil {
		t.Fatal(err)
	}
	if got := c.Snapshots(); len(got) != 0 {
		t.Errorf("snapshots = %v after deleting", got)
	}
}

func TestSnapshotErrors(t *testing.T) {
	c, _ := testCluster(t)
	v := mustCreate(t, c, request("v", 1))
	_, err := c.CreateSnapshot("", v.Handle)
	wantError(t, err, Invalid, "name")
	_, err = c.CreateSnapshot("s", "vol-none")
	wantError(t, err, NotFound, "vol-none")
	if err := c.SetSnapshots(SnapshotFaults{Fail: true}); err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateSnapshot("s", v.Handle)
	wantError(t, err, Internal, "fault")
	if err := c.SetSnapshots(SnapshotFaults{}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReplicaState(v.Handle, nodesOf(v)[0], storagev1alpha1.ReplicaFailed); err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateSnapshot("s", v.Handle)
	wantError(t, err, Unavailable, "no usable replica")
	wantError(t, c.SetSnapshots(SnapshotFaults{ReadyDelay: -1}), Invalid, "delay")
	wantError(t, c.SetSnapshots(SnapshotFaults{CutDelay: -1}), Invalid, "cutDelay")
	wantError(t, c.SetAPI(false, -1), Invalid, "delay")
}
