// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/verdict"
)

// inventory holds the StorageNodes, each as new as we know it: from the watch, or from our own last write.
type inventory struct {
	mu     sync.RWMutex
	byName map[string]*storagev1alpha1.StorageNode
	byKey  map[verdict.Key]string
	byNode map[string]map[verdict.Key]bool
}

func newInventory() *inventory {
	return &inventory{
		byName: map[string]*storagev1alpha1.StorageNode{},
		byKey:  map[verdict.Key]string{},
		byNode: map[string]map[verdict.Key]bool{},
	}
}

func keyOf(object *storagev1alpha1.StorageNode) verdict.Key {
	return verdict.Key{Provisioner: object.Spec.Provisioner, Node: object.Spec.NodeName}
}

// put is false for an object that is no newer than the one we have, and for one that does not count because an older one
// has the same provisioner and node.
func (v *inventory) put(object *storagev1alpha1.StorageNode) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.byName[object.Name]; known != nil && known.UID == object.UID && !newer(object, known) {
		return false
	}
	v.byName[object.Name] = object
	key := keyOf(object)
	if counting := v.byName[v.byKey[key]]; counting != nil && counting.Name != object.Name && precedes(counting, object) {
		return false
	}
	v.count(key, object.Name)
	return true
}

// remove returns the key that the object counted for, and false where it counted for none.
func (v *inventory) remove(name string) (verdict.Key, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	object := v.byName[name]
	if object == nil {
		return verdict.Key{}, false
	}
	delete(v.byName, name)
	key := keyOf(object)
	if v.byKey[key] != name {
		return verdict.Key{}, false
	}
	delete(v.byKey, key)
	delete(v.byNode[key.Node], key)
	if len(v.byNode[key.Node]) == 0 {
		delete(v.byNode, key.Node)
	}
	for _, other := range v.byName {
		if counting := v.byName[v.byKey[key]]; keyOf(other) == key && (counting == nil || precedes(other, counting)) {
			v.count(key, other.Name)
		}
	}
	return key, true
}

func (v *inventory) count(key verdict.Key, name string) {
	v.byKey[key] = name
	if v.byNode[key.Node] == nil {
		v.byNode[key.Node] = map[verdict.Key]bool{}
	}
	v.byNode[key.Node][key] = true
}

// get returns an object that the caller must not change.
func (v *inventory) get(key verdict.Key) (*storagev1alpha1.StorageNode, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	object := v.byName[v.byKey[key]]
	return object, object != nil
}

// on returns the keys of a node.
func (v *inventory) on(node string) []verdict.Key {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Collect(maps.Keys(v.byNode[node]))
}

// keys returns all keys, in no order.
func (v *inventory) keys() []verdict.Key {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Collect(maps.Keys(v.byKey))
}

func (v *inventory) names() []string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Collect(maps.Keys(v.byName))
}

func newer(a, b *storagev1alpha1.StorageNode) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err != nil || order > 0
}

func precedes(a, b *storagev1alpha1.StorageNode) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}
