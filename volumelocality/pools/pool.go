// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"maps"
	"math"
	"slices"
	"sync/atomic"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	// none is the room of an object that does not tell any.
	none int64 = -1
	// unknown is the room of an object that tells only how large one volume may be.
	unknown int64 = math.MaxInt64
)

// pool is one CSIStorageCapacity object, and what is promised of it.
type pool struct {
	// key is the object's namespace and name, class its StorageClass.
	key, class string
	// reach are the nodes that the pool can be used from.
	reach reach
	// room is what the object says, and promised what is to be taken off, the oldest first.
	room     int64
	promised []*assumption

	// largest is the largest volume that the pool takes, and free the room that is left. Both may be negative. They are
	// all that Fits reads.
	largest, free atomic.Int64
}

// reach is a set of nodes, by their labels.
type reach struct {
	// pairs are labels that a node must have. A node with all of them is in the set where selector is nil.
	pairs []label
	// selector says it where pairs cannot.
	selector labels.Selector
}

// label is a node label.
type label struct{ key, value string }

// newPool returns the pool of an object.
func newPool(key string, object *storagev1.CSIStorageCapacity) *pool {
	p := &pool{key: key, class: object.StorageClassName, reach: reachOf(object.NodeTopology)}
	p.resize(object)
	return p
}

// resize takes over what the object says.
func (p *pool) resize(object *storagev1.CSIStorageCapacity) {
	largest, room := limitsOf(object)
	p.largest.Store(largest)
	p.room = room
	p.settleUp()
}

// limitsOf agrees for a single claim with the in-tree plugin, which looks at the largest volume where the object tells that,
// and at the capacity otherwise. A volume of the largest size has room by definition, whatever the capacity says.
func limitsOf(object *storagev1.CSIStorageCapacity) (largest, room int64) {
	switch {
	case object.MaximumVolumeSize == nil && object.Capacity == nil:
		return none, none
	case object.MaximumVolumeSize == nil:
		room = object.Capacity.Value()
		return room, room
	case object.Capacity == nil:
		return object.MaximumVolumeSize.Value(), unknown
	}
	largest = object.MaximumVolumeSize.Value()
	return largest, max(largest, object.Capacity.Value())
}

// settleUp computes what is free, and says whether that is more than before.
func (p *pool) settleUp() bool {
	free := p.room
	for _, a := range p.promised {
		free = subtract(free, a.bytes)
	}
	return p.free.Swap(free) < free
}

// subtract stops at the smallest number instead of turning into a large one.
func subtract(a, b int64) int64 {
	if a < math.MinInt64+b {
		return math.MinInt64
	}
	return a - b
}

// reachOf is nowhere for a topology that is missing (as the API says) or that cannot be read.
func reachOf(topology *metav1.LabelSelector) reach {
	if topology == nil {
		return reach{selector: labels.Nothing()}
	}
	if len(topology.MatchExpressions) == 0 && len(topology.MatchLabels) > 0 {
		var pairs []label
		for _, key := range slices.Sorted(maps.Keys(topology.MatchLabels)) {
			pairs = append(pairs, label{key, topology.MatchLabels[key]})
		}
		return reach{pairs: pairs}
	}
	selector, err := metav1.LabelSelectorAsSelector(topology)
	if err != nil {
		selector = labels.Nothing()
	}
	return reach{selector: selector}
}

func (r *reach) has(node map[string]string) bool {
	if r.selector != nil {
		return r.selector.Matches(labels.Set(node))
	}
	for i := range r.pairs {
		if value, ok := node[r.pairs[i].key]; !ok || value != r.pairs[i].value {
			return false
		}
	}
	return true
}

func (r *reach) equal(other *reach) bool {
	if (r.selector == nil) != (other.selector == nil) {
		return false
	}
	return slices.Equal(r.pairs, other.pairs) && (r.selector == nil || r.selector.String() == other.selector.String())
}

// Grown says that an object tells of more room than before, for one volume or for all.
func Grown(before, after *storagev1.CSIStorageCapacity) bool {
	largestBefore, roomBefore := limitsOf(before)
	largest, room := limitsOf(after)
	return largest > largestBefore || room > roomBefore
}
