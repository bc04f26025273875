// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"cmp"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// fewPools is how many pools of one class a node has, or fewer, where Fits must not allocate.
const fewPools = 8

// Claim is a claim that waits for a volume.
type Claim struct {
	// UID is the claim's.
	UID types.UID
	// Bytes is the size that it asks for.
	Bytes int64
}

// Request is what a pod's claims of one StorageClass need of a node. It does not change, but what a node has does.
type Request struct {
	class string
	index *index
	// claims are those that nothing is promised to yet, the largest first, and sizes what they need; total is their sum.
	claims []Claim
	sizes  []int64
	total  int64
	// promised are the claims that have their room already.
	promised []types.UID
}

// Class is the StorageClass.
func (r *Request) Class() string { return r.class }

// Smallest is the size of the smallest claim that still needs room: with less than that in a pool there is no point in
// trying. It is false where no claim does.
func (r *Request) Smallest() (int64, bool) {
	if len(r.sizes) == 0 {
		return 0, false
	}
	return r.sizes[len(r.sizes)-1], true
}

// Fits says that a node with these labels has room for all the claims together. It is true for a node without a pool: the
// in-tree plugin says what that means. It takes no lock, and with up to eight pools on the node it allocates nothing.
func (r *Request) Fits(node map[string]string) bool {
	if len(r.sizes) == 0 {
		return true
	}
	var buffer [fewPools]*pool
	pools := r.index.appendPools(buffer[:0], node)
	switch len(pools) {
	case 0:
		return true
	case 1:
		return r.sizes[0] <= pools[0].largest.Load() && r.total <= pools[0].free.Load()
	}
	return assign(pools, r.sizes, nil)
}

// assign gives each size, the largest first, the first pool that takes it, and writes which to chosen where that is not nil. It
// is false where a size is left over. With more than one pool it may miss a way to fit them in, as first-fit decreasing
// does; the pod then goes elsewhere.
func assign(pools []*pool, sizes []int64, chosen []*pool) bool {
	var buffer [fewPools]int64
	left := buffer[:0]
	for _, p := range pools {
		left = append(left, p.free.Load())
	}
	for i, size := range sizes {
		at := firstFit(pools, left, size)
		if at < 0 {
			return false
		}
		left[at] -= size
		if chosen != nil {
			chosen[i] = pools[at]
		}
	}
	return true
}

func firstFit(pools []*pool, left []int64, size int64) int {
	for i, p := range pools {
		if size <= left[i] && size <= p.largest.Load() {
			return i
		}
	}
	return -1
}

// need sets what the claims need.
func (r *Request) need(claims []Claim) {
	slices.SortFunc(claims, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.UID, b.UID))
	})
	r.claims = claims
	for _, c := range claims {
		r.sizes = append(r.sizes, c.Bytes)
		r.total = add(r.total, c.Bytes)
	}
}

// add stops at the largest number.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
