// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"roost.dev/roost/drivers"
)

// BenchmarkPlugin measures the extension points on 1,000 nodes, for volumes of three replicas.
func BenchmarkPlugin(b *testing.B) {
	var nodes []*corev1.Node
	for i := range 1000 {
		nodes = append(nodes, st.MakeNode().Name(fmt.Sprintf("node-%04d", i)).
			Label("topology.kubernetes.io/rack", fmt.Sprintf("rack-%02d", i/20)).Label(corev1.LabelTopologyZone, fmt.Sprintf("zone-%d", i%3)).Obj())
	}
	for _, count := range []int{1, 4} {
		driver := &memory{locations: map[string]drivers.Location{}}
		var claims []string
		var objects []runtime.Object
		for i := range count {
			claim := fmt.Sprintf("data-%d", i)
			claims, objects = append(claims, claim), append(objects, claimAndPV(claim)...)
			driver.locations["handle-of-"+claim] = inSync("node-0001", "node-0101", "node-0201")
		}
		f := newFixture(b, world{nodes: nodes, objects: objects, driver: driver})
		pod, ctx, state := podUsing(claims...), b.Context(), framework.NewCycleState()
		b.Run(fmt.Sprintf("PreFilter/volumes=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.pl.PreFilter(ctx, state, pod, f.nodes)
			}
		})
		b.Run(fmt.Sprintf("Filter/volumes=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.pl.Filter(ctx, state, pod, f.nodes[0])
			}
		})
		f.pl.PreScore(ctx, state, pod, f.nodes)
		b.Run(fmt.Sprintf("Score/volumes=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.pl.Score(ctx, state, pod, f.nodes[0])
			}
		})
	}
}
