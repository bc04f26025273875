// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Kind is one kind that is followed.
type Kind struct {
	// Indexer has its objects, by the keys of cache.MetaNamespaceKeyFunc. Where it has an index cache.NamespaceIndex, a list of
	// a namespace uses that.
	Indexer cache.Indexer
	// Served says whether the API server has the kind. Nil means that it always has.
	Served func() bool
}

// Reader reads what is followed.
type Reader struct {
	scheme *runtime.Scheme
	kinds  map[schema.GroupVersionKind]Kind
}

var _ client.Reader = (*Reader)(nil)

// NewReader returns one that follows nothing yet.
func NewReader(scheme *runtime.Scheme) *Reader {
	return &Reader{scheme: scheme, kinds: map[schema.GroupVersionKind]Kind{}}
}

// Follow adds a kind, by one of its objects. All kinds are added before the first read.
func (r *Reader) Follow(object client.Object, kind Kind) error {
	gvk, err := apiutil.GVKForObject(object, r.scheme)
	if err != nil {
		return fmt.Errorf("following %T: %w", object, err)
	}
	if _, ok := r.kinds[gvk]; ok {
		return fmt.Errorf("following %T: it is followed already", object)
	}
	r.kinds[gvk] = kind
	return nil
}

// Get implements client.Reader.
func (r *Reader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	gvk, err := apiutil.GVKForObject(into, r.scheme)
	if err != nil {
		return fmt.Errorf("reading %T %s: %w", into, key, err)
	}
	kind, err := r.kind(gvk)
	if err != nil {
		return fmt.Errorf("reading %T %s: %w", into, key, err)
	}
	found, ok, err := kind.Indexer.GetByKey(cache.ObjectName{Namespace: key.Namespace, Name: key.Name}.String())
	if err != nil {
		return fmt.Errorf("reading %T %s: %w", into, key, err)
	}
	if !ok {
		// Not wrapped: the text is that of the API server, and people know it.
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		return apierrors.NewNotFound(plural.GroupResource(), key.Name)
	}
	target, source := reflect.ValueOf(into).Elem(), reflect.ValueOf(found.(client.Object).DeepCopyObject()).Elem()
	if target.Type() != source.Type() {
		return fmt.Errorf("reading %s: it is a %T, asked for as %T", key, found, into)
	}
	target.Set(source)
	return nil
}

// List implements client.Reader. Of the options it knows the namespace, the label selector and UnsafeDisableDeepCopy, and refuses
// others.
func (r *Reader) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	gvk, err := apiutil.GVKForObject(into, r.scheme)
	if err != nil {
		return fmt.Errorf("listing %T: %w", into, err)
	}
	gvk.Kind = gvk.Kind[:len(gvk.Kind)-len("List")]
	kind, err := r.kind(gvk)
	if err != nil {
		return fmt.Errorf("listing %T: %w", into, err)
	}
	asked := (&client.ListOptions{}).ApplyOptions(options)
	if asked.FieldSelector != nil || asked.Limit != 0 || asked.Continue != "" {
		return fmt.Errorf("listing %T: fields, limits and continuations are not known here", into)
	}
	found, err := objectsOf(kind.Indexer, asked.Namespace)
	if err != nil {
		return fmt.Errorf("listing %T: %w", into, err)
	}
	var items []runtime.Object
	for _, candidate := range found {
		object := candidate.(client.Object)
		if asked.LabelSelector == nil || asked.LabelSelector.Matches(labels.Set(object.GetLabels())) {
			if asked.UnsafeDisableDeepCopy == nil || !*asked.UnsafeDisableDeepCopy {
				object = object.DeepCopyObject().(client.Object)
			}
			items = append(items, object)
		}
	}
	return meta.SetList(into, items)
}

func (r *Reader) kind(gvk schema.GroupVersionKind) (Kind, error) {
	kind, ok := r.kinds[gvk]
	switch {
	case !ok:
		return Kind{}, fmt.Errorf("%s is not followed", gvk)
	case kind.Served != nil && !kind.Served():
		return Kind{}, &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}}
	default:
		return kind, nil
	}
}

func objectsOf(indexer cache.Indexer, namespace string) ([]any, error) {
	if namespace == "" {
		return indexer.List(), nil
	}
	if _, ok := indexer.GetIndexers()[cache.NamespaceIndex]; ok {
		return indexer.ByIndex(cache.NamespaceIndex, namespace)
	}
	var found []any
	for _, object := range indexer.List() {
		if object.(client.Object).GetNamespace() == namespace {
			found = append(found, object)
		}
	}
	return found, nil
}
