// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/drivers"
)

// sixNodes: a and b are rack mates; c is in their zone, d in their region; e is elsewhere; bare has no labels.
var sixNodes = []Node{
	node("a", "r1", "z1", "g1"), node("b", "r1", "z1", "g1"), node("c", "r2", "z1", "g1"),
	node("d", "r3", "z2", "g1"), node("e", "r9", "z9", "g9"), node("bare", "", "", ""),
}

var scoreTests = map[string]struct {
	nodes   []Node
	states  map[string]drivers.StorageState
	volumes []Volume
	want    []int64
}{
	"one replica: its node, then its rack, zone and region": {
		volumes: []Volume{volume("v", "a")},
		want:    []int64{100, 50, 25, 10, 0, 0},
	},
	"attached here is worth as much as attached nowhere": {
		volumes: []Volume{volume("v", "a", "b").attached("a")},
		want:    []int64{100, 95, 25, 10, 0, 0},
	},
	"attached elsewhere costs a replica five points, and a rack mate nothing": {
		volumes: []Volume{volume("v", "a").attached("e")},
		want:    []int64{95, 50, 25, 10, 0, 0},
	},
	"a rebuilding replica beats a rack mate and draws nobody near": {
		volumes: []Volume{volume("v", "a").and("e", drivers.Rebuilding)},
		want:    []int64{100, 50, 25, 10, 60, 0},
	},
	"stale and failed replicas are none": {
		volumes: []Volume{volume("v", "a").and("b", drivers.Stale).and("e", drivers.Failed)},
		want:    []int64{100, 50, 25, 10, 0, 0},
	},
	"no replica in sync leaves nodes equal but for the rebuilding one": {
		volumes: []Volume{volume("v").and("a", drivers.Rebuilding)},
		want:    []int64{60, 0, 0, 0, 0, 0},
	},
	"the nearest of several replicas counts": {
		volumes: []Volume{volume("v", "d", "c")},
		want:    []int64{25, 25, 100, 100, 0, 0},
	},
	"volumes share equally": {
		volumes: []Volume{volume("v", "a"), volume("w", "e")},
		want:    []int64{50, 25, 12, 5, 50, 0},
	},
	"a larger volume has a larger share": {
		volumes: []Volume{{ID: drivers.VolumeID{Handle: "big"}, Policy: Preferred, Known: true, Share: 3, Location: volume("", "a").Location}, volume("w", "e")},
		want:    []int64{75, 37, 18, 7, 25, 0},
	},
	"ignored and unknown volumes do not count": {
		volumes: []Volume{volume("v", "a"), volume("w", "e").with(Ignored), {Policy: Preferred, Share: 1}},
		want:    []int64{100, 50, 25, 10, 0, 0},
	},
	"Avoid turns the order round": {
		volumes: []Volume{volume("v", "a").with(Avoid)},
		want:    []int64{0, 50, 75, 90, 100, 100},
	},
	"how the storage is on a node is no matter, but nobody is drawn near to a replica that does not serve": {
		states: map[string]drivers.StorageState{
			"a": drivers.Degraded, "b": drivers.StorageDown, "c": drivers.Maintenance, "d": drivers.Offline, "e": drivers.Unknown,
		},
		volumes: []Volume{volume("v", "b", "c", "d", "e")},
		want:    []int64{0, 100, 100, 100, 100, 0},
	},
	"racks of one name in two zones are two racks": {
		nodes:   []Node{node("a", "r1", "z1", "g1"), node("b", "r1", "z2", "g1")},
		volumes: []Volume{volume("v", "a")},
		want:    []int64{100, 10},
	},
	"a missing label skips its tier and no other": {
		nodes:   []Node{node("a", "r1", "", "g1"), node("b", "r1", "z1", ""), node("c", "", "", "g1"), node("d", "", "z1", "")},
		volumes: []Volume{volume("v", "a")},
		want:    []int64{100, 50, 10, 0},
	},
	"a replica on a node that does not exist draws nobody near": {
		nodes:   []Node{node("b", "r1", "z1", "g1")},
		volumes: []Volume{volume("v", "gone")},
		want:    []int64{0},
	},
}

func TestScore(t *testing.T) {
	for name, tc := range scoreTests {
		t.Run(name, func(t *testing.T) {
			c := testCluster{nodes: sixNodes, states: tc.states}
			if tc.nodes != nil {
				c.nodes = tc.nodes
			}
			plan := NewPlan(tc.volumes, testTiers, c)
			if diff := cmp.Diff(tc.want, scores(plan, c)); diff != "" {
				t.Errorf("scores (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoVolumeThatCountsMakesNoPlan(t *testing.T) {
	volumes := []Volume{volume("v", "a").with(Ignored), {Policy: Preferred, Share: 1}}
	if plan := NewPlan(volumes, testTiers, testCluster{}); plan != nil {
		t.Errorf("plan = %+v, want none", plan)
	}
}

// TestScoreProperties draws clusters and volumes at random: a score is bounded, is the same when asked again, and does
// not fall when the node is given an in-sync replica more.
func TestScoreProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		c, volumes := randomCase(random)
		plan := NewPlan(volumes, testTiers, c)
		if plan == nil {
			continue
		}
		before := scores(plan, c)
		for i, score := range before {
			if score < 0 || score > 100 {
				t.Fatalf("round %d: score of %s = %d, want 0 to 100", round, c.nodes[i].Name, score)
			}
		}
		if diff := cmp.Diff(before, scores(plan, c)); diff != "" {
			t.Fatalf("round %d: asked again (-first +second):\n%s", round, diff)
		}
		at := random.IntN(len(c.nodes))
		given := giveReplicas(volumes, c.nodes[at].Name)
		if after := scores(NewPlan(given, testTiers, c), c); after[at] < before[at] {
			t.Fatalf("round %d: an in-sync replica more lowers the score of %s from %d to %d", round, c.nodes[at].Name, before[at], after[at])
		}
	}
}

func randomCase(random *rand.Rand) (testCluster, []Volume) {
	c := testCluster{states: map[string]drivers.StorageState{}}
	for i := range 2 + random.IntN(12) {
		label := func(prefix string, n int) string {
			if random.IntN(5) == 0 {
				return ""
			}
			return fmt.Sprintf("%s%d", prefix, random.IntN(n))
		}
		n := node(fmt.Sprintf("n%d", i), label("r", 4), label("z", 3), label("g", 2))
		c.nodes = append(c.nodes, n)
		c.states[n.Name] = drivers.StorageState(random.IntN(6))
	}
	var volumes []Volume
	for i := range 1 + random.IntN(4) {
		v := volume(fmt.Sprintf("v%d", i))
		v.Share = 1 + random.Int64N(1<<40)
		for _, n := range c.nodes {
			if random.IntN(3) == 0 {
				v = v.and(n.Name, drivers.ReplicaState(random.IntN(4)))
			}
		}
		volumes = append(volumes, v)
	}
	return c, volumes
}

// giveReplicas makes every volume's replica on the node in sync.
func giveReplicas(volumes []Volume, node string) []Volume {
	var given []Volume
	for _, v := range volumes {
		others := Volume{ID: v.ID, Policy: v.Policy, Known: v.Known, Share: v.Share}
		for _, r := range v.Location.Replicas {
			if r.Node != node {
				others = others.and(r.Node, r.State)
			}
		}
		given = append(given, others.and(node, drivers.InSync))
	}
	return given
}
