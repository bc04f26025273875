// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	storagehelpers "k8s.io/component-helpers/storage/volume"
)

// PutPool has an object that is new or different.
func (m *Memory) PutPool(object *storagev1.CSIStorageCapacity) {
	m.update(func(now time.Time) { m.putPool(object, now) })
}

func (m *Memory) putPool(object *storagev1.CSIStorageCapacity, now time.Time) {
	key := object.Namespace + "/" + object.Name
	p, known := m.pools[key]
	if reach := reachOf(object.NodeTopology); known && p.class == object.StorageClassName && p.reach.equal(&reach) {
		m.rewrite(p, object, now)
		return
	}
	// One of the same name that was deleted and made again for other nodes comes as a change.
	m.removePool(key)
	p = newPool(key, object)
	c := m.class(p.class)
	m.pools[key], c.pools[key], c.index = p, p, nil
	m.more[p] = true
}

// rewrite takes over what a known object says now.
func (m *Memory) rewrite(p *pool, object *storagev1.CSIStorageCapacity, now time.Time) {
	if c := m.class(p.class); len(c.unplaced) > 0 {
		m.indexOf(c)
	}
	free, largest := p.free.Load(), p.largest.Load()
	if _, room := limitsOf(object); p.room != unknown && room != unknown {
		p.settle(subtract(p.room, room))
	}
	p.written(now)
	p.resize(object)
	for _, a := range slices.Clone(p.promised) {
		m.endIfOver(a, now)
	}
	if p.free.Load() > free || p.largest.Load() > largest {
		m.more[p] = true
	}
}

// RemovePool has the namespace and name, with a slash between them, of an object that is gone.
func (m *Memory) RemovePool(key string) {
	m.update(func(time.Time) { m.removePool(key) })
}

// removePool leaves what was promised of the pool to another one of the same nodes, should there be any.
func (m *Memory) removePool(key string) {
	p, known := m.pools[key]
	if !known {
		return
	}
	c := m.class(p.class)
	delete(m.pools, key)
	delete(c.pools, key)
	c.index = nil
	for _, a := range p.promised {
		a.pool = nil
		c.unplaced[a] = true
	}
	p.promised = nil
	m.tidy(p.class)
}

// PutClaim has a claim that is new or different.
func (m *Memory) PutClaim(claim *corev1.PersistentVolumeClaim) {
	m.update(func(now time.Time) { m.putClaim(claim, now) })
}

func (m *Memory) putClaim(claim *corev1.PersistentVolumeClaim, now time.Time) {
	a, node := m.assumed[claim.UID], claim.Annotations[storagehelpers.AnnSelectedNode]
	switch isBound := claim.Spec.VolumeName != ""; {
	case a == nil && (isBound || node == ""):
		return
	case isBound && node == "":
		// It was bound to a volume that was there already, and takes no room.
		m.end(a)
		return
	case isBound:
		if a.boundAt.IsZero() {
			a.boundAt = now
		}
	case node == "":
		a.selected = false
	default:
		a = m.selected(claim, node)
		// At once, so that a pool which shrinks by it is known to have.
		m.indexOf(m.class(a.class))
	}
	m.endIfOver(a, now)
}

// selected notes that a scheduler, this or another, has selected the node for a claim that is not bound.
func (m *Memory) selected(claim *corev1.PersistentVolumeClaim, node string) *assumption {
	var holders []types.UID
	a := m.assumed[claim.UID]
	if a != nil && a.node != node {
		holders = a.holders
		m.end(a)
		a = nil
	}
	if a == nil {
		a = m.begin(&assumption{
			claim: claim.UID, class: storagehelpers.GetPersistentVolumeClaimClass(claim), node: node, bytes: BytesOf(claim), holders: holders,
		})
	}
	a.selected = true
	return a
}

// RemoveClaim has a claim that is gone.
func (m *Memory) RemoveClaim(claim types.UID) {
	m.update(func(time.Time) {
		if a := m.assumed[claim]; a != nil {
			m.end(a)
		}
	})
}

// BytesOf is the size that a claim asks for, 0 where it does not say.
func BytesOf(claim *corev1.PersistentVolumeClaim) int64 {
	quantity := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	return max(quantity.Value(), 0)
}

// PutVolume has a PersistentVolume that is new or different. What nobody has claimed may be bound to a claim, which then
// takes no room.
func (m *Memory) PutVolume(pv *corev1.PersistentVolume) {
	if pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.UID != "" {
		m.RemoveVolume(pv.Spec.StorageClassName, pv.Name)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c, size := m.class(pv.Spec.StorageClassName), pv.Spec.Capacity.Storage().Value()
	if c.unclaimed[pv.Name] != size {
		c.unclaimed[pv.Name] = size
		c.largestUnclaimed = none
	}
}

// RemoveVolume has the class and the name of a PersistentVolume that is gone.
func (m *Memory) RemoveVolume(class, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.classes[class]
	if !ok {
		return
	}
	if _, was := c.unclaimed[name]; was {
		delete(c.unclaimed, name)
		c.largestUnclaimed = none
		m.tidy(class)
	}
}

// mayHave says that there is a volume of that size which a claim could be bound to.
func (c *class) mayHave(bytes int64) bool {
	if len(c.unclaimed) == 0 {
		return false
	}
	if c.largestUnclaimed == none {
		c.largestUnclaimed = slices.Max(slices.Collect(maps.Values(c.unclaimed)))
	}
	return bytes <= c.largestUnclaimed
}
