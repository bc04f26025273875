// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/drivers"
)

// eightNodes are two zones of two racks of two nodes.
var eightNodes = []Node{
	node("a1", "r1", "z1", ""), node("a2", "r1", "z1", ""), node("b1", "r2", "z1", ""), node("b2", "r2", "z1", ""),
	node("c1", "r3", "z2", ""), node("c2", "r3", "z2", ""), node("d1", "r4", "z2", ""), node("d2", "r4", "z2", ""),
}

var everywhere = Attempt{All: true, Level: LevelAll}

var levelTests = map[string]struct {
	nodes   []Node
	states  map[string]drivers.StorageState
	volumes []Volume
	want    []Attempt // of one level after the other
}{
	"data nodes, then those near them, then all": {
		volumes: []Volume{volume("v", "a1")},
		want:    []Attempt{{Nodes: []string{"a1"}}, {Nodes: []string{"a1", "a2", "b1", "b2"}, Level: LevelNear}, everywhere, everywhere},
	},
	"what is near leaves no node out": {
		volumes: []Volume{volume("v", "a1", "c1")},
		want:    []Attempt{{Nodes: []string{"a1", "c1"}}, everywhere},
	},
	"without labels nothing is near": {
		nodes:   []Node{node("a", "", "", ""), node("b", "", "", "")},
		volumes: []Volume{volume("v", "a")},
		want:    []Attempt{{Nodes: []string{"a"}}, everywhere},
	},
	"the nodes with both volumes come first": {
		volumes: []Volume{volume("v", "a1", "b1"), volume("w", "b1", "c1")},
		want:    []Attempt{{Nodes: []string{"b1"}}},
	},
	"where no node has both, those with one come first": {
		volumes: []Volume{volume("v", "a1"), volume("w", "c1")},
		want:    []Attempt{{Nodes: []string{"a1", "c1"}}},
	},
	"a node whose storage is down is not worth trying first": {
		states:  map[string]drivers.StorageState{"a1": drivers.StorageDown},
		volumes: []Volume{volume("v", "a1", "c1")},
		want:    []Attempt{{Nodes: []string{"c1"}}},
	},
	"a degraded one is": {
		states:  map[string]drivers.StorageState{"a1": drivers.Degraded},
		volumes: []Volume{volume("v", "a1")},
		want:    []Attempt{{Nodes: []string{"a1"}}},
	},
	"replicas on nodes that do not exist narrow nothing": {
		volumes: []Volume{volume("v", "gone")},
		want:    []Attempt{everywhere},
	},
	"rebuilding replicas narrow nothing": {
		volumes: []Volume{volume("v").and("a1", drivers.Rebuilding)},
		want:    []Attempt{everywhere},
	},
	"Avoid narrows nothing": {
		volumes: []Volume{volume("v", "a1").with(Avoid)},
		want:    []Attempt{everywhere},
	},
	"Required never widens": {
		volumes: []Volume{volume("v", "a1", "b1").with(Required)},
		want:    []Attempt{{Nodes: []string{"a1", "b1"}, Level: LevelAll}, {Nodes: []string{"a1", "b1"}, Level: LevelAll}},
	},
	"Required with Preferred beside it tries the nodes with both, then the Required ones": {
		volumes: []Volume{volume("v", "a1", "b1").with(Required), volume("w", "b1", "c1")},
		want:    []Attempt{{Nodes: []string{"b1"}}, {Nodes: []string{"a1", "b1"}, Level: LevelAll}},
	},
	"Required on a node whose storage is down still allows that node": {
		states:  map[string]drivers.StorageState{"a1": drivers.StorageDown},
		volumes: []Volume{volume("v", "a1").with(Required)},
		want:    []Attempt{{Nodes: []string{"a1"}, Level: LevelAll}},
	},
	"two Required volumes without a common node allow none": {
		volumes: []Volume{volume("v", "a1").with(Required), volume("w", "b1").with(Required)},
		want:    []Attempt{{Level: LevelAll}},
	},
	"a pinned volume does not widen, so that preemption on its nodes need not wait": {
		volumes: []Volume{volume("v", "a1").pinned()},
		want:    []Attempt{{Nodes: []string{"a1"}, Level: LevelAll}},
	},
	"a pinned volume whose other node's storage is down widens to that node at most": {
		states:  map[string]drivers.StorageState{"b1": drivers.StorageDown},
		volumes: []Volume{volume("v", "a1", "b1").pinned()},
		want:    []Attempt{{Nodes: []string{"a1"}}, {Nodes: []string{"a1", "b1"}, Level: LevelAll}},
	},
	"a pinned volume bounds the one beside it": {
		volumes: []Volume{volume("v", "a1", "c1").pinned(), volume("w", "c1", "d1")},
		want:    []Attempt{{Nodes: []string{"c1"}}, {Nodes: []string{"a1", "c1"}, Level: LevelAll}},
	},
	"two pinned volumes without a common node bound nothing: others say so": {
		volumes: []Volume{volume("v", "a1").pinned(), volume("w", "b1").pinned()},
		want:    []Attempt{{Nodes: []string{"a1", "b1"}}},
	},
	"a pinned volume under Avoid bounds nothing: where it can be used is for others to say": {
		volumes: []Volume{volume("v", "a1").pinned().with(Avoid)},
		want:    []Attempt{everywhere},
	},
}

func TestNodesAt(t *testing.T) {
	for name, tc := range levelTests {
		t.Run(name, func(t *testing.T) {
			c := testCluster{nodes: eightNodes, states: tc.states}
			if tc.nodes != nil {
				c.nodes = tc.nodes
			}
			plan := NewPlan(tc.volumes, testTiers, c)
			level := Level(0)
			for i, want := range tc.want {
				got := plan.NodesAt(level, 0, c.all())
				slices.Sort(got.Nodes)
				if diff := cmp.Diff(want, got, cmpEmpty); diff != "" {
					t.Errorf("attempt %d at level %d (-want +got):\n%s", i, level, diff)
				}
				level = got.Level + 1
			}
		})
	}
}

// cmpEmpty takes a nil and an empty list for the same.
var cmpEmpty = cmp.Transformer("empty", func(names []string) []string { return append([]string{}, names...) })

func TestALargeTierIsSharedOutBySeed(t *testing.T) {
	c := testCluster{nodes: []Node{node("data", "r0", "z1", ""), node("far", "r0", "z2", "")}}
	for i := range 500 {
		c.nodes = append(c.nodes, node(fmt.Sprintf("near-%03d", i), fmt.Sprintf("r%d", i+1), "z1", ""))
	}
	c.nodes = append(c.nodes, node("rackmate", "r0", "z1", ""))
	plan := NewPlan([]Volume{volume("v", "data")}, testTiers, c)
	seen := map[string]bool{}
	for seed := range uint64(500) {
		got := plan.NodesAt(LevelNear, seed, c.all())
		if len(got.Nodes) != maxNearNodes || slices.Contains(got.Nodes, "far") {
			t.Fatalf("seed %d: %d nodes, far in play: %t; want %d, false", seed, len(got.Nodes), slices.Contains(got.Nodes, "far"), maxNearNodes)
		}
		if !slices.Contains(got.Nodes, "data") || !slices.Contains(got.Nodes, "rackmate") {
			t.Fatalf("seed %d: the data node or its rack mate is not in play, want nearer tiers whole", seed)
		}
		for _, n := range got.Nodes {
			seen[n] = true
		}
	}
	if len(seen) != 502 {
		t.Errorf("all seeds together saw %d nodes, want 502", len(seen))
	}
}

func TestMissingNodesAreThoseThatRequiredVolumesLack(t *testing.T) {
	c := testCluster{nodes: []Node{node("a", "", "", "")}}
	plan := NewPlan([]Volume{
		volume("v", "a", "gone").with(Required).and("removed", drivers.Failed), volume("w", "gone"),
	}, nil, c)
	if got := plan.MissingNodes(); got != 1 {
		t.Errorf("MissingNodes() = %d, want 1: neither failed replicas nor those of Preferred volumes keep the pod waiting", got)
	}
}

func TestAllows(t *testing.T) {
	c := testCluster{nodes: []Node{node("a", "", "", ""), node("b", "", "", "")}}
	required := NewPlan([]Volume{volume("v", "a").with(Required)}, nil, c)
	if !required.Allows("a") || required.Allows("b") {
		t.Errorf("Required allows a: %t, b: %t; want true, false", required.Allows("a"), required.Allows("b"))
	}
	if preferred := NewPlan([]Volume{volume("v", "a")}, nil, c); !preferred.Allows("b") {
		t.Error("Preferred does not allow b")
	}
}
