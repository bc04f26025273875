// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublishedOnTwoNodes(t *testing.T) {
	on := func(node string, sharing Sharing, readOnly bool) func(*Cluster, string) error {
		return func(c *Cluster, handle string) error {
			return c.PublishVolume(Attach{Handle: handle, Node: node, Sharing: sharing, ReadOnly: readOnly})
		}
	}
	first, second := on("a-1-x", SingleNode, false), on("b-1-x", SingleNode, false)
	off := func(c *Cluster, handle string) error {
		c.UnpublishVolume(handle, "a-1-x")
		return nil
	}
	gone := func(c *Cluster, _ string) error {
		c.RemoveNode("a-1-x")
		return nil
	}
	fence := func(node string) func(*Cluster, string) error {
		return func(c *Cluster, handle string) error { return c.Fence(handle, node) }
	}
	unfence := func(c *Cluster, handle string) error { return c.Unfence(handle, "a-1-x") }
	both := []string{"a-1-x", "b-1-x"}
	for name, tc := range map[string]struct {
		steps []func(*Cluster, string) error
		want  [][]string
	}{
		"is a violation": {[]func(*Cluster, string) error{first, second}, [][]string{both}},
		"is one violation, however often it is said": {[]func(*Cluster, string) error{first, second, second, first}, [][]string{both}},
		"one after the other is none":                {[]func(*Cluster, string) error{first, off, second}, nil},
		"is none when the first is gone":             {[]func(*Cluster, string) error{first, gone, second}, nil},
		"is none when the first is fenced":           {[]func(*Cluster, string) error{first, fence("a-1-x"), second}, nil},
		"is none when the second is fenced":          {[]func(*Cluster, string) error{first, on("b-1-x", SingleNode, true), fence("b-1-x"), second}, nil},
		"is one when the fence is lifted":            {[]func(*Cluster, string) error{first, fence("a-1-x"), second, unfence}, [][]string{{"b-1-x", "a-1-x"}}},
		"is none when the second only reads":         {[]func(*Cluster, string) error{first, on("b-1-x", SingleNode, true)}, nil},
		"is one when the reader begins to write":     {[]func(*Cluster, string) error{first, on("b-1-x", SingleNode, true), second}, [][]string{both}},
		"is none when the first only reads":          {[]func(*Cluster, string) error{on("a-1-x", SingleNode, true), second}, nil},
		"is none when the volume is shared":          {[]func(*Cluster, string) error{on("a-1-x", Shared, false), on("b-1-x", Shared, false)}, nil},
		"is one when a single writer has another":    {[]func(*Cluster, string) error{on("a-1-x", SingleWriter, false), on("b-1-x", SingleWriter, false)}, [][]string{both}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			setFencing(t, c, FencingManual)
			handle := mustCreate(t, c, request("v", 2)).Handle
			for _, step := range tc.steps {
				succeed(t, step(c, handle))
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

func TestPublishViolationSaysWhatHappened(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 2)).Handle
	published(t, c, Attach{Handle: handle, Node: "a-1-x", Sharing: SingleNode})
	published(t, c, Attach{Handle: handle, Node: "b-1-x", Sharing: SingleNode})
	want := []Violation{{
		Time: start, Handle: handle, Nodes: []string{"a-1-x", "b-1-x"},
		Message: "published on b-1-x while it is still published on a-1-x, which is not fenced and may still write",
	}}
	if diff := cmp.Diff(want, c.Violations()); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestPublishWhatDoesNotExist(t *testing.T) {
	c, _ := testCluster(t)
	handle := mustCreate(t, c, request("v", 2)).Handle
	wantError(t, c.PublishVolume(Attach{Handle: "vol-none", Node: "a-1-x"}), NotFound, "vol-none")
	wantError(t, c.PublishVolume(Attach{Handle: handle, Node: "nowhere"}), NotFound, "nowhere")
	c.UnpublishVolume("vol-none", "a-1-x")
	c.UnpublishVolume(handle, "nowhere")
}
