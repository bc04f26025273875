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

func benchmarkVolumes(count int) []Volume {
	var volumes []Volume
	for i := range count {
		volumes = append(volumes, volume(fmt.Sprintf("v%d", i), "node-0001", "node-0101", "node-0201"))
	}
	return volumes
}

func BenchmarkNewPlan(b *testing.B) {
	c := newIndexedCluster(5000)
	for _, count := range []int{1, 4} {
		b.Run(fmt.Sprintf("volumes=%d", count), func(b *testing.B) {
			volumes := benchmarkVolumes(count)
			b.ReportAllocs()
			for b.Loop() {
				NewPlan(volumes, testTiers, c)
			}
		})
	}
}

func BenchmarkScore(b *testing.B) {
	c := newIndexedCluster(5000)
	for _, count := range []int{1, 4} {
		b.Run(fmt.Sprintf("volumes=%d", count), func(b *testing.B) {
			plan := NewPlan(benchmarkVolumes(count), testTiers, c)
			node := c["node-0102"]
			b.ReportAllocs()
			for b.Loop() {
				plan.Score(node)
			}
		})
	}
}

func TestScoreAllocatesNothing(t *testing.T) {
	c := newIndexedCluster(300)
	plan := NewPlan(benchmarkVolumes(4), testTiers, c)
	node := c["node-0102"]
	if allocs := testing.AllocsPerRun(100, func() { plan.Score(node) }); allocs != 0 {
		t.Errorf("Score allocates %v times, want 0", allocs)
	}
}
