// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

// manyPools is a cluster with a pool of 100 GiB on each of 5,000 nodes.
func manyPools() (*Memory, []map[string]string) {
	var nodes []map[string]string
	byName := map[string]map[string]string{}
	m := New(testingclock.NewFakeClock(time.Unix(0, 0)), func(node string) map[string]string { return byName[node] })
	for i := range 5000 {
		name := fmt.Sprintf("node-%04d", i)
		node := map[string]string{
			corev1.LabelHostname: name, "topology.kubernetes.io/rack": fmt.Sprintf("rack-%d", i/20),
			corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%3), corev1.LabelTopologyRegion: "region",
		}
		nodes, byName[name] = append(nodes, node), node
		m.PutPool(capacity(name, node, "100Gi"))
	}
	return m, nodes
}

func BenchmarkFits(b *testing.B) {
	m, nodes := manyPools()
	for _, count := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("claims=%d", count), func(b *testing.B) {
			r := m.Request(fast, claims(1, 2, 3, 4)[:count])
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.Fits(nodes[i%len(nodes)])
				i++
			}
		})
	}
	b.Run("claims=2/pools=2", func(b *testing.B) {
		m.PutPool(capacity("second", nodes[0], "100Gi"))
		r := m.Request(fast, claims(1, 2))
		b.ReportAllocs()
		for b.Loop() {
			r.Fits(nodes[0])
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	m, _ := manyPools()
	asked := claims(1)
	b.ReportAllocs()
	for b.Loop() {
		m.Request(fast, asked)
	}
}

func BenchmarkAssumeAndRelease(b *testing.B) {
	m, _ := manyPools()
	asked := claims(1)
	r := m.Request(fast, asked)
	b.ReportAllocs()
	for b.Loop() {
		m.Assume("pod", "node-0100", r)
		m.Release("pod", r)
	}
}

// The first cycle after pools came or went.
func BenchmarkRequestAfterAPoolCame(b *testing.B) {
	m, _ := manyPools()
	asked := claims(1)
	object := capacity("new", hostname("new"), "1Gi")
	for b.Loop() {
		m.PutPool(object)
		m.Request(fast, asked)
		m.RemovePool("csi/new")
	}
}

func TestFitsAllocatesNothing(t *testing.T) {
	m, nodes := manyPools()
	m.PutPool(capacity("second", nodes[0], "100Gi"))
	r := m.Request(fast, []Claim{{UID: types.UID("x"), Bytes: gib}, {UID: types.UID("y"), Bytes: gib}})
	for _, node := range []map[string]string{nodes[0], nodes[1]} {
		if allocs := testing.AllocsPerRun(100, func() { r.Fits(node) }); allocs != 0 {
			t.Errorf("Fits allocates %.0f times, want 0", allocs)
		}
	}
}
