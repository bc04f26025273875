// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// index holds the objects of one kind by name, and by what they speak for. It is not safe for concurrent use.
type index[K comparable, V any] struct {
	byName map[string]*entry[K, V]
	// byKey has the object that counts, and behind it the others.
	byKey map[K]*entry[K, V]
}

// entry is what the index keeps of one object. Only next ever changes.
type entry[K comparable, V any] struct {
	name    string
	created int64
	key     K
	value   V
	next    *entry[K, V]
}

func newIndex[K comparable, V any]() index[K, V] {
	return index[K, V]{byName: map[string]*entry[K, V]{}, byKey: map[K]*entry[K, V]{}}
}

func newEntry[K comparable, V any](object metav1.Object, key K, value V) *entry[K, V] {
	// Whole seconds are all that the API server stores, and a third of a time.Time.
	return &entry[K, V]{name: object.GetName(), created: object.GetCreationTimestamp().Unix(), key: key, value: value}
}

// put adds an object, or replaces the one of that name. It returns the object that counted for the key before, and the
// one that does after. An object of that name must not speak for another key.
func (x index[K, V]) put(e *entry[K, V]) (before, after *entry[K, V]) {
	before = x.byKey[e.key]
	x.unlink(x.byName[e.name])
	x.byName[e.name] = e
	first := x.byKey[e.key]
	if first == nil || e.precedes(first) {
		e.next = first
		x.byKey[e.key] = e
		return before, e
	}
	at := first
	for at.next != nil && !e.precedes(at.next) {
		at = at.next
	}
	e.next, at.next = at.next, e
	return before, first
}

// remove returns the object that counted for the key before, and the one that does after.
func (x index[K, V]) remove(e *entry[K, V]) (before, after *entry[K, V]) {
	before = x.byKey[e.key]
	x.unlink(e)
	return before, x.byKey[e.key]
}

func (x index[K, V]) unlink(e *entry[K, V]) {
	if e == nil {
		return
	}
	delete(x.byName, e.name)
	first := x.byKey[e.key]
	switch {
	case first != e:
		at := first
		for at.next != e {
			at = at.next
		}
		at.next = e.next
	case e.next != nil:
		x.byKey[e.key] = e.next
	default:
		delete(x.byKey, e.key)
	}
}

func (x index[K, V]) names() []string {
	return slices.Collect(maps.Keys(x.byName))
}

func (e *entry[K, V]) precedes(other *entry[K, V]) bool {
	if e.created != other.created {
		return e.created < other.created
	}
	return e.name < other.name
}
