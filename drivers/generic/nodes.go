// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// nodeIndex finds nodes by the labels that volumes are pinned with, and volumes by the labels that pin them.
type nodeIndex struct {
	nodes map[string]*corev1.Node
	// keys has the label keys that some volume is pinned with, and no other.
	keys map[string]*labelKey
}

// labelKey has, by the values of one label, the nodes that carry it and the volumes that it may pin.
type labelKey struct {
	nodes   map[string][]string
	volumes map[string]map[*volume]struct{}
}

func newNodeIndex() *nodeIndex {
	return &nodeIndex{nodes: map[string]*corev1.Node{}, keys: map[string]*labelKey{}}
}

// follow has set return the volume when one of the pins gets or loses a node.
func (x *nodeIndex) follow(v *volume, pins []pin) {
	for _, p := range pins {
		key := x.keys[p.key]
		if key == nil {
			key = x.newKey(p.key)
			x.keys[p.key] = key
		}
		if key.volumes[p.value] == nil {
			key.volumes[p.value] = map[*volume]struct{}{}
		}
		key.volumes[p.value][v] = struct{}{}
	}
}

// unfollow undoes follow.
func (x *nodeIndex) unfollow(v *volume, pins []pin) {
	for _, p := range pins {
		key := x.keys[p.key]
		if key == nil {
			continue
		}
		delete(key.volumes[p.value], v)
		if len(key.volumes[p.value]) == 0 {
			delete(key.volumes, p.value)
		}
		if len(key.volumes) == 0 {
			delete(x.keys, p.key)
		}
	}
}

func (x *nodeIndex) newKey(key string) *labelKey {
	added := &labelKey{nodes: map[string][]string{}, volumes: map[string]map[*volume]struct{}{}}
	for name, node := range x.nodes {
		if value, ok := valueOf(node, key); ok {
			added.nodes[value] = append(added.nodes[value], name)
		}
	}
	return added
}

// set sets or, where node is nil, removes a node. It returns the volumes whose nodes may have changed.
func (x *nodeIndex) set(name string, node *corev1.Node) map[*volume]struct{} {
	before := x.nodes[name]
	if node != nil {
		x.nodes[name] = node
	} else {
		delete(x.nodes, name)
	}
	if before != nil && node != nil && maps.Equal(before.Labels, node.Labels) {
		return nil
	}
	touched := map[*volume]struct{}{}
	for key, index := range x.keys {
		if before != nil {
			if value, ok := valueOf(before, key); ok {
				index.remove(value, name, touched)
			}
		}
		if node != nil {
			if value, ok := valueOf(node, key); ok {
				index.add(value, name, touched)
			}
		}
	}
	return touched
}

// add notes that the node carries the value. What two nodes or more carry pins no volume, before and after, so that a
// large zone's volumes are not looked at once for each of its nodes.
func (k *labelKey) add(value, node string, touched map[*volume]struct{}) {
	k.nodes[value] = append(k.nodes[value], node)
	if len(k.nodes[value]) <= 2 {
		maps.Copy(touched, k.volumes[value])
	}
}

// remove undoes add.
func (k *labelKey) remove(value, node string, touched map[*volume]struct{}) {
	if len(k.nodes[value]) <= 2 {
		maps.Copy(touched, k.volumes[value])
	}
	k.nodes[value] = slices.DeleteFunc(k.nodes[value], func(name string) bool { return name == node })
	if len(k.nodes[value]) == 0 {
		delete(k.nodes, value)
	}
}

// valueOf is the node's value of a label, or its name where the key is nodeName.
func valueOf(node *corev1.Node, key string) (string, bool) {
	if key == nodeName {
		return node.Name, true
	}
	value, ok := node.Labels[key]
	return value, ok
}
