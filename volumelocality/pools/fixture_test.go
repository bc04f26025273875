// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	testingclock "k8s.io/utils/clock/testing"

	"roost.dev/roost/internal/builders"
)

const (
	fast = "fast"
	gib  = int64(1) << 30
)

// scene is a memory with the cluster around it.
type scene struct {
	*Memory
	t     *testing.T
	clock *testingclock.FakeClock
	nodes map[string]map[string]string
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, clock: testingclock.NewFakeClock(time.Unix(1_700_000_000, 0)), nodes: map[string]map[string]string{}}
	for _, name := range []string{"a", "b"} {
		s.nodes[name] = hostname(name)
	}
	s.Memory = New(s.clock, func(node string) map[string]string { return s.nodes[node] })
	return s
}

func hostname(name string) map[string]string { return map[string]string{corev1.LabelHostname: name} }

// capacity is an object of the class "fast" for the nodes with these labels.
func capacity(name string, node map[string]string, size string) *storagev1.CSIStorageCapacity {
	object := &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{Namespace: "csi", Name: name}, StorageClassName: fast,
		NodeTopology: &metav1.LabelSelector{MatchLabels: node},
	}
	if size != "" {
		quantity := resource.MustParse(size)
		object.Capacity = &quantity
	}
	return object
}

// atMost sets the largest volume.
func atMost(object *storagev1.CSIStorageCapacity, size string) *storagev1.CSIStorageCapacity {
	quantity := resource.MustParse(size)
	object.MaximumVolumeSize = &quantity
	return object
}

// reaching sets the nodes.
func reaching(object *storagev1.CSIStorageCapacity, topology *metav1.LabelSelector) *storagev1.CSIStorageCapacity {
	object.NodeTopology = topology
	return object
}

// claims are of so many GiB each, and named by their place.
func claims(sizes ...int64) []Claim {
	var made []Claim
	for i, size := range sizes {
		made = append(made, Claim{UID: types.UID(rune('1' + i)), Bytes: size * gib})
	}
	return made
}

// claim is an unbound claim of 1 GiB of the class "fast".
func claim(uid string) *builders.Claim { return builders.MakeClaim(uid).Class(fast) }

// selecting is a claim whose annotation names the node.
func selecting(uid, node string) *builders.Claim {
	return claim(uid).Annotation(storagehelpers.AnnSelectedNode, node)
}

// fits asks for claims of so many GiB on the node.
func (s *scene) fits(node string, sizes ...int64) bool {
	s.t.Helper()
	var asked []Claim
	for i, size := range sizes {
		asked = append(asked, Claim{UID: types.UID("asked-" + string(rune('0'+i))), Bytes: size * gib})
	}
	r := s.Request(fast, asked)
	return r == nil || r.Fits(s.nodes[node])
}

// wantFree finds the free GiB of the pool.
func (s *scene) wantFree(when, pool string, want int64) {
	s.t.Helper()
	s.Request(fast, claims(1)) // places what has no pool yet, as each cycle does
	p, ok := s.pools["csi/"+pool]
	if !ok {
		s.t.Fatalf("%s: there is no pool %s", when, pool)
	}
	if got := p.free.Load(); got != want*gib {
		s.t.Errorf("%s: pool %s has %d MiB free, want %d", when, pool, got>>20, want<<10)
	}
}

// wantNothingLeft finds that what is gone has left no trace.
func (s *scene) wantNothingLeft() {
	s.t.Helper()
	if len(s.pools)+len(s.classes)+len(s.assumed)+len(s.more) != 0 {
		s.t.Errorf("%d pools, %d classes, %d assumptions, %d to tell of are left, want none", len(s.pools), len(s.classes), len(s.assumed), len(s.more))
	}
}
