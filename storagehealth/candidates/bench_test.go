// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"fmt"
	"testing"

	"roost.dev/roost/internal/builders"
)

// crowded is a world of 1,000 nodes and 10,000 claims, with 500 pods on node-1 and the rest spread over the others.
func crowded(b *testing.B, oneOtherNode bool) *Finder {
	b.Helper()
	w := newWorld()
	const nodes, claims, here = 1000, 10_000, 500
	for n := 4; n <= nodes; n++ {
		name := fmt.Sprintf("node-%d", n)
		w.objects = append(w.objects, makeNode(name), makeCSINode(name))
	}
	for n := range claims {
		name, node := fmt.Sprintf("data-%d", n), "node-1"
		if n >= here {
			node = fmt.Sprintf("node-%d", 2+n%(nodes-1))
		}
		pv := builders.MakePV("pv-"+name).CSI(csi, name).ClaimedBy(name)
		if oneOtherNode {
			pv.OnNodes(node, "node-999") // by name the last
		}
		w.objects = append(w.objects, builders.MakeClaim(name).Class("fast").BoundTo("pv-"+name).Obj(), pv.Obj())
		w.pods = append(w.pods, makePod(fmt.Sprintf("db-%d", n+1), node, name))
		w.locations[name] = on(node, "node-999")
	}
	return w.finder(b)
}

func BenchmarkOnNode(b *testing.B) {
	for name, last := range map[string]bool{"AnyOtherNode": false, "OneOtherNode": true} {
		b.Run(name, func(b *testing.B) {
			finder := crowded(b, last)
			b.ReportAllocs()
			for b.Loop() {
				found, err := finder.OnNode(b.Context(), csi, "node-1", failedSince)
				if err != nil || len(found) != 501 || !found[1].Movable() {
					b.Fatalf("OnNode = %d candidates, %v", len(found), err)
				}
			}
		})
	}
}

func BenchmarkInUse(b *testing.B) {
	finder := crowded(b, false)
	for _, node := range []string{"node-1", "node-500"} {
		pods, _ := finder.InUse(csi, node)
		b.Run(fmt.Sprintf("%dPods", pods), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				finder.InUse(csi, node)
			}
		})
	}
}

func BenchmarkSharing(b *testing.B) {
	finder := crowded(b, false)
	b.ReportAllocs()
	for b.Loop() {
		if pods := finder.Sharing("node-1", "pv-data-7"); len(pods) != 1 {
			b.Fatalf("Sharing = %d pods, want 1", len(pods))
		}
	}
}
