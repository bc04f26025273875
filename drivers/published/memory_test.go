// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"fmt"
	"runtime"
	"testing"

	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

const (
	manyVolumes    = 100_000
	manyNodes      = 5000
	replicasEach   = 3
	bytesAReplica  = 400
	benchmarkNodes = manyNodes / replicasEach
)

func manyID(i int) drivers.VolumeID {
	return drivers.VolumeID{Provisioner: provisioner, Handle: fmt.Sprintf("9f1c9f1e-7a58-4f7c-8f0d-%012d", i)}
}

// newManyTopology has names of its own, as decoding makes them.
func newManyTopology(i int) *storagev1alpha1.VolumeTopology {
	var nodes []string
	for replica := range replicasEach {
		nodes = append(nodes, fmt.Sprintf("ip-10-0-12-34.node-%05d.compute.internal", (i+replica*benchmarkNodes)%manyNodes))
	}
	id := manyID(i)
	id.Provisioner = string([]byte(provisioner))
	object := newTopologyOf(fmt.Sprintf("pvc-9f1c9f1e-7a58-4f7c-8f0d-%012d", i), id, replicas(storagev1alpha1.ReplicaInSync, nodes...)...)
	object.Status.AttachedNodes = []string{string([]byte(nodes[0]))}
	object.Labels = map[string]string{"vendor": "of no use to the driver"}
	return object
}

func newManySource(t testing.TB) *Source {
	s := newVendor().newSource(t)
	for i := range manyVolumes {
		s.putTopology(klog.Background(), newManyTopology(i))
	}
	return s
}

// measure returns how many bytes the driver holds for each replica.
func measure(t testing.TB) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newManySource(t)
	runtime.GC()
	runtime.GC() // the first one only ends what interned names could still be needed for
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return float64(after.HeapAlloc-before.HeapAlloc) / (manyVolumes * replicasEach)
}

func TestMemoryIsWithinBudget(t *testing.T) {
	if got := measure(t); got <= 0 || got > bytesAReplica {
		t.Errorf("the driver holds %.0f bytes a replica, want at most %d", got, bytesAReplica)
	}
}

func BenchmarkMemory(b *testing.B) {
	var bytes float64
	for b.Loop() {
		bytes = measure(b)
	}
	b.ReportMetric(bytes, "bytes/replica")
}

func BenchmarkLocate(b *testing.B) {
	s := newManySource(b)
	ids := make([]drivers.VolumeID, manyVolumes)
	for i := range ids {
		ids[i] = manyID(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := s.Locate(ids[i*7919%len(ids)]); !ok {
			b.Fatal("a volume is not located")
		}
		i++
	}
}
