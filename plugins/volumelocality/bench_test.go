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

// BenchmarkPlugin measures the extension points on 1,000 nodes, for volumes of three replicas and of fifty.
func BenchmarkPlugin(b *testing.B) {
	var nodes []*corev1.Node
	for i := range 1000 {
		nodes = append(nodes, st.MakeNode().Name(fmt.Sprintf("node-%04d", i)).
			Label("topology.kubernetes.io/rack", fmt.Sprintf("rack-%02d", i/20)).Label(corev1.LabelTopologyZone, fmt.Sprintf("zone-%d", i%3)).Obj())
	}
	for _, replicas := range []int{3, 50} {
		for _, volumes := range []int{1, 4} {
			b.Run(fmt.Sprintf("replicas=%d/volumes=%d", replicas, volumes), func(b *testing.B) {
				driver := &memory{locations: map[string]drivers.Location{}}
				var claims []string
				var objects []runtime.Object
				for i := range volumes {
					claim := fmt.Sprintf("data-%d", i)
					claims, objects = append(claims, claim), append(objects, claimAndPV(claim)...)
					var dataNodes []string
					for r := range replicas {
						dataNodes = append(dataNodes, fmt.Sprintf("node-%04d", 1+r*1000/replicas))
					}
					driver.locations["handle-of-"+claim] = inSync(dataNodes...)
				}
				benchmarkPoints(b, newFixture(b, world{nodes: nodes, objects: objects, driver: driver}), podUsing(claims...))
			})
		}
	}
}

func benchmarkPoints(b *testing.B, f *fixture, pod *corev1.Pod) {
	ctx, state := b.Context(), framework.NewCycleState()
	f.pl.PreFilter(ctx, state, pod, f.nodes)
	points := []struct {
		name string
		call func()
	}{
		{"PreFilter", func() { f.pl.PreFilter(ctx, state, pod, f.nodes) }},
		{"Filter", func() { f.pl.Filter(ctx, state, pod, f.nodes[0]) }},
		{"Score", func() { f.pl.Score(ctx, state, pod, f.nodes[0]) }},
		{"PostBind", func() {
			f.pl.PostBind(ctx, state, pod, "node-0500")
			f.told()
		}},
	}
	for _, point := range points {
		b.Run(point.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				point.call()
			}
		})
	}
}

// TestFilterAndScoreAllocateNothing, whatever the pod's volumes are.
func TestFilterAndScoreAllocateNothing(t *testing.T) {
	f := newFixture(t, dataOnA1())
	pod, ctx := podUsing("data"), t.Context()
	_, state := f.attempt(pod)
	if allocs := testing.AllocsPerRun(100, func() {
		f.pl.Filter(ctx, state, pod, f.nodes[1])
		f.pl.Score(ctx, state, pod, f.nodes[1])
	}); allocs != 0 {
		t.Errorf("Filter and Score allocate %v times, want 0", allocs)
	}
}
