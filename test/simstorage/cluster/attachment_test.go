// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

func TestAttach(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second Attach
		wantReason    Reason
	}{
		"one node at a time refuses a second node":  {Attach{Node: "a-1-x", Sharing: SingleNode}, Attach{Node: "b-1-x", Sharing: SingleNode}, Precondition},
		"one node at a time refuses a reader too":   {Attach{Node: "a-1-x", Sharing: SingleNode}, Attach{Node: "b-1-x", Sharing: Shared, ReadOnly: true}, Precondition},
		"doing it again is no error":                {Attach{Node: "a-1-x", Sharing: SingleNode}, Attach{Node: "a-1-x", Sharing: SingleNode}, ""},
		"doing it again in another way is refused":  {Attach{Node: "a-1-x", Sharing: SingleNode}, Attach{Node: "a-1-x", Sharing: SingleNode, ReadOnly: true}, Exists},
		"a shared volume takes a second node":       {Attach{Node: "a-1-x", Sharing: Shared}, Attach{Node: "b-1-x", Sharing: Shared}, ""},
		"a single writer takes readers":             {Attach{Node: "a-1-x", Sharing: SingleWriter}, Attach{Node: "b-1-x", Sharing: SingleWriter, ReadOnly: true}, ""},
		"a single writer refuses another":           {Attach{Node: "a-1-x", Sharing: SingleWriter}, Attach{Node: "b-1-x", Sharing: SingleWriter}, Precondition},
		"a node without storage can be attached to": {Attach{Node: "client", Sharing: SingleNode}, Attach{Node: "client", Sharing: SingleNode}, ""},
		"a node that does not exist cannot":         {Attach{Node: "a-1-x", Sharing: Shared}, Attach{Node: "nowhere", Sharing: Shared}, NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			handle := mustCreate(t, c, request("v", 2)).Handle
			tc.first.Handle, tc.second.Handle = handle, handle
			if err := c.AttachVolume(tc.first); err != nil {
				t.Fatal(err)
			}
			err := c.AttachVolume(tc.second)
			if tc.wantReason != "" {
				wantError(t, err, tc.wantReason, tc.second.Node)
			} else if err != nil {
				t.Errorf("second attach: %v", err)
			}
			if got := c.Violations(); len(got) != 0 {
				t.Errorf("violations = %v, want none", got)
			}
		})
	}
}

func TestSecondNodeErrorNamesTheFirst(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 2)).Handle
	attach(t, c, handle, "a-1-x")
	wantError(t, c.AttachVolume(Attach{Handle: handle, Node: "b-1-x", Sharing: SingleNode}), Precondition, handle, "a-1-x")
}

func TestMostAttached(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 2)).Handle
	for i := range MaxAttached {
		name := fmt.Sprint("client-", i)
		c.SetNode(name, nil, false)
		if err := c.AttachVolume(Attach{Handle: handle, Node: name, Sharing: Shared}); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, c.AttachVolume(Attach{Handle: handle, Node: "a-1-x", Sharing: Shared}), Exhausted, "256")
}

func TestAttachWhereOnlyReplicasAreAccessible(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 1)
	r.Class.Access, r.Requirement.Preferred = AccessReplicas, []Segments{hostname("a-1-x")}
	handle := mustCreate(t, c, r).Handle
	wantError(t, c.AttachVolume(Attach{Handle: handle, Node: "b-1-x", Sharing: SingleNode}), Precondition, "replica", "b-1-x")
	attach(t, c, handle, "a-1-x")
}

func TestAttachNeedsStorageThatServes(t *testing.T) {
	for name, tc := range map[string]struct {
		breakIt func(c *Cluster, handle string) error
		want    Reason
	}{
		"the node's storage is offline":          {func(c *Cluster, _ string) error { return c.SetNodeState("b-1-x", storagev1alpha1.StorageOffline, "") }, Unavailable},
		"the node is cut off":                    {func(c *Cluster, _ string) error { return c.SetCutOff("b-1-x", true) }, Unavailable},
		"the node's storage is down, others are": {func(c *Cluster, _ string) error { return c.SetNodeState("b-1-x", storagev1alpha1.StorageDown, "") }, ""},
		"the only replica is stale": {func(c *Cluster, handle string) error {
			return c.SetReplicaState(handle, "a-1-x", storagev1alpha1.ReplicaStale)
		}, Unavailable},
		"the only replica's storage is down": {func(c *Cluster, _ string) error { return c.SetNodeState("a-1-x", storagev1alpha1.StorageDown, "") }, Unavailable},
		"the only replica is lost":           {func(c *Cluster, handle string) error { return c.RemoveReplica(handle, "a-1-x") }, Unavailable},
		"the only replica's node is gone": {func(c *Cluster, _ string) error {
			c.RemoveNode("a-1-x")
			return nil
		}, Unavailable},
		"a second replica takes over": {func(c *Cluster, handle string) error {
			if err := c.SetReplicaState(handle, "c-1-x", storagev1alpha1.ReplicaInSync); err != nil {
				return err
			}
			return c.SetReplicaState(handle, "a-1-x", storagev1alpha1.ReplicaFailed)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			r := request("v", 1)
			r.Requirement.Preferred = []Segments{hostname("a-1-x")}
			handle := mustCreate(t, c, r).Handle
			if err := tc.breakIt(c, handle); err != nil {
				t.Fatal(err)
			}
			err := c.AttachVolume(Attach{Handle: handle, Node: "b-1-x", Sharing: SingleNode})
			if tc.want != "" {
				wantError(t, err, tc.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDetach(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 2)).Handle
	for _, node := range []string{"a-1-x", "b-1-x"} {
		if err := c.AttachVolume(Attach{Handle: handle, Node: node, Sharing: Shared}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		detach(t, c, handle, "a-1-x")
	}
	if diff := cmp.Diff([]string{"b-1-x"}, attachedNodes(t, c, handle)); diff != "" {
		t.Errorf("attached (-want +got):\n%s", diff)
	}
	detach(t, c, handle, "")
	if got := attachedNodes(t, c, handle); len(got) != 0 {
		t.Errorf("attached = %v after detaching from all", got)
	}
	detach(t, c, "vol-none", "a-1-x")
}

func TestCutOffNodeKeepsItsVolumes(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 2)).Handle
	attach(t, c, handle, "a-1-x")
	setFencing(t, c, FencingManual)
	setCutOff(t, c, "a-1-x", true)
	wantError(t, c.DetachVolume(handle, "a-1-x"), Unavailable, "a-1-x", "cut off")
	wantError(t, c.AttachVolume(Attach{Handle: handle, Node: "b-1-x", Sharing: SingleNode}), Precondition, "a-1-x")
	setCutOff(t, c, "a-1-x", false)
	detach(t, c, handle, "a-1-x")
	attach(t, c, handle, "b-1-x")
	if got := c.Violations(); len(got) != 0 {
		t.Errorf("violations = %v, want none", got)
	}
}

func TestViolations(t *testing.T) {
	cutOff := func(t *testing.T, c *Cluster) { setCutOff(t, c, "a-1-x", true) }
	reconnect := func(t *testing.T, c *Cluster) { setCutOff(t, c, "a-1-x", false) }
	remove := func(_ *testing.T, c *Cluster) { c.RemoveNode("a-1-x") }
	nothing := func(*testing.T, *Cluster) {}
	writer := Attach{Node: "b-1-x", Sharing: SingleNode}
	for name, tc := range map[string]struct {
		// before and after are what happens around the forced detach from a-1-x.
		before, after func(t *testing.T, c *Cluster)
		second        Attach
		want          [][]string
	}{
		"a forced detach from a node that is cut off lets two nodes write": {cutOff, nothing, writer, [][]string{{"a-1-x", "b-1-x"}}},
		"a node that can be reached stops writing":                         {nothing, nothing, writer, nil},
		"a node that is cut off afterwards has stopped":                    {nothing, cutOff, writer, nil},
		"a node that was reconnected stops writing":                        {cutOff, reconnect, writer, nil},
		"a node that is gone writes no more":                               {cutOff, remove, writer, nil},
		"reading beside the writer is no violation":                        {cutOff, nothing, Attach{Node: "b-1-x", Sharing: SingleNode, ReadOnly: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			setFencing(t, c, FencingManual)
			handle := mustCreate(t, c, request("v", 3)).Handle
			attach(t, c, handle, "a-1-x")
			tc.before(t, c)
			if err := c.ForceDetach(handle, "a-1-x"); err != nil {
				t.Fatal(err)
			}
			tc.after(t, c)
			tc.second.Handle = handle
			if err := c.AttachVolume(tc.second); err != nil {
				t.Fatal(err)
			}
			var got [][]string
			for _, violation := range c.Violations() {
				if violation.Handle != handle || !violation.Time.Equal(start) {
					t.Errorf("violation = %+v, want volume %s at %s", violation, handle, start)
				}
				got = append(got, violation.Nodes)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSameNodeIsNoViolation(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 3)).Handle
	attach(t, c, handle, "a-1-x")
	setFencing(t, c, FencingManual)
	setCutOff(t, c, "a-1-x", true)
	if err := c.ForceDetach(handle, "a-1-x"); err != nil {
		t.Fatal(err)
	}
	setCutOff(t, c, "a-1-x", false)
	attach(t, c, handle, "a-1-x")
	if got := c.Violations(); len(got) != 0 {
		t.Errorf("violations = %v, want none", got)
	}
	wantError(t, c.ForceDetach(handle, "b-1-x"), NotFound, "b-1-x")
}

func attach(t *testing.T, c *Cluster, handle, node string) {
	t.Helper()
	if err := c.AttachVolume(Attach{Handle: handle, Node: node, Sharing: SingleNode}); err != nil {
		t.Fatal(err)
	}
}

func detach(t *testing.T, c *Cluster, handle, node string) {
	t.Helper()
	if err := c.DetachVolume(handle, node); err != nil {
		t.Fatal(err)
	}
}

func setCutOff(t *testing.T, c *Cluster, node string, cutOff bool) {
	t.Helper()
	if err := c.SetCutOff(node, cutOff); err != nil {
		t.Fatal(err)
	}
}

func setFencing(t *testing.T, c *Cluster, mode Fencing) {
	t.Helper()
	if err := c.SetFencing(mode); err != nil {
		t.Fatal(err)
	}
}

func attachedNodes(t *testing.T, c *Cluster, handle string) []string {
	t.Helper()
	v, err := c.Volume(handle)
	if err != nil {
		t.Fatal(err)
	}
	return v.Attached
}
