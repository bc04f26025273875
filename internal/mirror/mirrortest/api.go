// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrortest

import (
	"context"
	"reflect"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/mirror"
)

// API serves custom resources as an API server does: lists, watches from a resource version, and streamed lists.
type API struct {
	mu      sync.Mutex
	version int
	kinds   map[string]*kind
	// lists counts plain lists.
	lists int
}

var _ mirror.Client = (*API)(nil)

// kind are the objects of one kind.
type kind struct {
	// failure is what the API server answers in place of the kind.
	failure error
	objects map[string]client.Object
	history []watch.Event
	// oldest is the first version from which one can watch.
	oldest  int
	streams []*stream
}

// New returns an API server that serves every kind and has no object.
func New() *API {
	return &API{kinds: map[string]*kind{}}
}

// kindOf names the kind of an object or of a list. The caller holds mu.
func (f *API) kindOf(of runtime.Object) *kind {
	name := reflect.TypeOf(of).Elem().Name()
	if untyped, ok := of.(interface{ GetKind() string }); ok {
		name = untyped.GetKind()
	}
	return f.kind(strings.TrimSuffix(name, "List"))
}

func (f *API) kind(name string) *kind {
	if f.kinds[name] == nil {
		f.kinds[name] = &kind{objects: map[string]client.Object{}}
	}
	return f.kinds[name]
}

// List implements Client.
func (f *API) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	kind := f.kindOf(list)
	if kind.failure != nil {
		return kind.failure
	}
	var items []runtime.Object
	for _, object := range kind.objects {
		items = append(items, object.DeepCopyObject())
	}
	list.SetResourceVersion(strconv.Itoa(f.version))
	return meta.SetList(list, items)
}

// Watch implements Client.
func (f *API) Watch(ctx context.Context, list client.ObjectList, given ...client.ListOption) (watch.Interface, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kindOf(list)
	if kind.failure != nil {
		return nil, kind.failure
	}
	options := (&client.ListOptions{}).ApplyOptions(given).AsListOptions()
	s := newStream(ctx)
	if options.SendInitialEvents != nil {
		for _, object := range kind.objects {
			s.send(watch.Event{Type: watch.Added, Object: object})
		}
		end := newItem(list)
		end.SetResourceVersion(strconv.Itoa(f.version))
		end.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		s.send(watch.Event{Type: watch.Bookmark, Object: end})
	} else {
		since, err := strconv.Atoi(options.ResourceVersion)
		if err != nil {
			return nil, err
		}
		if since < kind.oldest {
			return nil, apierrors.NewResourceExpired("too old resource version")
		}
		for _, event := range kind.history {
			if version, _ := strconv.Atoi(event.Object.(client.Object).GetResourceVersion()); version > since {
				s.send(event)
			}
		}
	}
	kind.streams = append(kind.streams, s)
	return s, nil
}

// newItem returns an empty object of the kind that the list is of.
func newItem(list client.ObjectList) client.Object {
	if untyped, ok := list.(*unstructured.UnstructuredList); ok {
		item := &unstructured.Unstructured{}
		item.SetAPIVersion(untyped.GetAPIVersion())
		item.SetKind(strings.TrimSuffix(untyped.GetKind(), "List"))
		return item
	}
	items := reflect.TypeOf(list).Elem()
	field, _ := items.FieldByName("Items")
	return reflect.New(field.Type.Elem()).Interface().(client.Object)
}

// Write creates or replaces the object.
func (f *API) Write(written client.Object) {
	object := written.DeepCopyObject().(client.Object)
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kindOf(object)
	_, exists := kind.objects[object.GetName()]
	kind.objects[object.GetName()] = object
	if exists {
		f.record(kind, watch.Modified, object)
	} else {
		f.record(kind, watch.Added, object)
	}
}

// Remove deletes the object, which must exist.
func (f *API) Remove(object client.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kindOf(object)
	last := kind.objects[object.GetName()].DeepCopyObject().(client.Object)
	delete(kind.objects, object.GetName())
	f.record(kind, watch.Deleted, last)
}

func (f *API) record(kind *kind, event watch.EventType, object client.Object) {
	f.version++
	object.SetResourceVersion(strconv.Itoa(f.version))
	recorded := watch.Event{Type: event, Object: object.DeepCopyObject()}
	kind.history = append(kind.history, recorded)
	for _, s := range kind.streams {
		s.send(recorded)
	}
}

// Fail has the kind answered with an error from now on, nil for none, and ends its watches.
func (f *API) Fail(name string, failure error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kind(name)
	kind.failure = failure
	for _, s := range kind.streams {
		s.Stop()
	}
	kind.streams = nil
}

// Uninstall removes the kind and its objects; failure is what the API server says to those who ask for it.
func (f *API) Uninstall(name string, failure error) {
	f.Fail(name, failure)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	gone := f.kind(name)
	gone.objects, gone.history, gone.oldest = map[string]client.Object{}, nil, f.version
}

// Lists is how many plain lists were asked for.
func (f *API) Lists() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}
