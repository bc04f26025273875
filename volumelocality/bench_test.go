// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"testing"

	"roost.dev/roost/drivers"
)

// indexedCluster finds nodes as fast as the scheduler's snapshot does.
type indexedCluster map[string]Node

func (c indexedCluster) Node(name string) (Node, bool) {
	n, ok := c[name]
	return n, ok
}

func (c indexedCluster) State(_, _ string) drivers.StorageState {
	return drivers.Online
}

func newIndexedCluster(nodes int) indexedCluster {
	c := indexedCluster{}
	for i := range nodes {
		n := node(fmt.Sprintf("node-%04d", i), fmt.Sprintf("rack-%03d", i/20), fmt.Sprintf("zone-%d", i%3), "region-1")
		c[n.Name] = n
	}
	return c
}

// benchmarkVolumes have their replicas far from each other.
func benchmarkVolumes(count, replicas int) []Volume {
	var nodes []string
	for i := range replicas {
		nodes = append(nodes, fmt.Sprintf("node-%04d", 1+i*100))
	}
	var volumes []Volume
	for i := range count {
		volumes = append(volumes, volume(fmt.Sprintf("v%d", i), nodes...))
	}
	return volumes
}

// benchmarkSizes runs a benchmark for one volume and four, of three replicas and of fifty.
func benchmarkSizes(b *testing.B, run func(b *testing.B, volumes []Volume)) {
	for _, replicas := range []int{3, 50} {
		for _, count := range []int{1, 4} {
			b.Run(fmt.Sprintf("replicas=%d/volumes=%d", replicas, count), func(b *testing.B) {
				b.ReportAllocs()
				run(b, benchmarkVolumes(count, replicas))
			})
		}
	}
}

func BenchmarkNewPlan(b *testing.B) {
	c := newIndexedCluster(5000)
	benchmarkSizes(b, func(b *testing.B, volumes []Volume) {
		for b.Loop() {
			NewPlan(volumes, testTiers, c)
		}
	})
}

func BenchmarkScore(b *testing.B) {
	c := newIndexedCluster(5000)
	benchmarkSizes(b, func(b *testing.B, volumes []Volume) {
		plan, node := NewPlan(volumes, testTiers, c), c["node-0102"]
		for b.Loop() {
			plan.Score(node)
		}
	})
}

func BenchmarkPlacementOf(b *testing.B) {
	c := newIndexedCluster(5000)
	benchmarkSizes(b, func(b *testing.B, volumes []Volume) {
		for b.Loop() {
			for i := range volumes {
				PlacementOf(volumes[i], testTiers, c, "node-0102")
			}
		}
	})
}

func TestScoreAllocatesNothing(t *testing.T) {
	c := newIndexedCluster(300)
	plan := NewPlan(benchmarkVolumes(4, 3), testTiers, c)
	node := c["node-0102"]
	if allocs := testing.AllocsPerRun(100, func() { plan.Score(node) }); allocs != 0 {
		t.Errorf("Score allocates %v times, want 0", allocs)
	}
}
