// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// fakeAPI serves both kinds as an API server does: lists, watches from a resource version, and streamed lists.
type fakeAPI struct {
	mu      sync.Mutex
	version int
	kinds   map[string]*fakeKind
	// lists counts plain lists.
	lists int
}

type fakeKind struct {
	// failure is what the API server answers in place of the kind.
	failure error
	objects map[string]client.Object
	history []watch.Event
	// oldest is the first version from which one can watch.
	oldest  int
	streams []*stream
}

func newFakeAPI() *fakeAPI {
	return &fakeAPI{kinds: map[string]*fakeKind{
		"VolumeTopology": {objects: map[string]client.Object{}},
		"StorageReport":  {objects: map[string]client.Object{}},
	}}
}

func kindOf(of runtime.Object) string {
	switch of.(type) {
	case *storagev1alpha1.VolumeTopology, *storagev1alpha1.VolumeTopologyList:
		return "VolumeTopology"
	default:
		return "StorageReport"
	}
}

// List implements Client.
func (f *fakeAPI) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	kind := f.kinds[kindOf(list)]
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
func (f *fakeAPI) Watch(ctx context.Context, list client.ObjectList, given ...client.ListOption) (watch.Interface, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kinds[kindOf(list)]
	if kind.failure != nil {
		return nil, kind.failure
	}
	options := (&client.ListOptions{}).ApplyOptions(given).AsListOptions()
	s := newStream(ctx)
	if options.SendInitialEvents != nil {
		for _, object := range kind.objects {
			s.send(watch.Event{Type: watch.Added, Object: object})
		}
		end := newBookmark(kindOf(list))
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

func newBookmark(kind string) client.Object {
	if kind == "VolumeTopology" {
		return &storagev1alpha1.VolumeTopology{}
	}
	return &storagev1alpha1.StorageReport{}
}

// write creates or replaces the object.
func (f *fakeAPI) write(object client.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kinds[kindOf(object)]
	_, exists := kind.objects[object.GetName()]
	kind.objects[object.GetName()] = object
	if exists {
		f.record(kind, watch.Modified, object)
	} else {
		f.record(kind, watch.Added, object)
	}
}

func (f *fakeAPI) remove(object client.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kinds[kindOf(object)]
	last := kind.objects[object.GetName()].DeepCopyObject().(client.Object)
	delete(kind.objects, object.GetName())
	f.record(kind, watch.Deleted, last)
}

func (f *fakeAPI) record(kind *fakeKind, event watch.EventType, object client.Object) {
	f.version++
	object.SetResourceVersion(strconv.Itoa(f.version))
	recorded := watch.Event{Type: event, Object: object.DeepCopyObject()}
	kind.history = append(kind.history, recorded)
	for _, s := range kind.streams {
		s.send(recorded)
	}
}

// fail has the kind answered with an error from now on, nil for none, and ends its watches.
func (f *fakeAPI) fail(name string, failure error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := f.kinds[name]
	kind.failure = failure
	for _, s := range kind.streams {
		s.Stop()
	}
	kind.streams = nil
}

// uninstall removes the kind and its objects; failure is what the API server says to those who ask for it.
func (f *fakeAPI) uninstall(name string, failure error) {
	f.fail(name, failure)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.kinds[name].objects, f.kinds[name].history, f.kinds[name].oldest = map[string]client.Object{}, nil, f.version
}

func (f *fakeAPI) listed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

// stream is a watch that never makes its sender wait.
type stream struct {
	events  chan watch.Event
	stopped context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	pending []watch.Event
	more    chan struct{}
}

func newStream(ctx context.Context) *stream {
	s := &stream{events: make(chan watch.Event), more: make(chan struct{}, 1)}
	s.stopped, s.stop = context.WithCancel(ctx)
	go s.deliver()
	return s
}

func (s *stream) send(event watch.Event) {
	event.Object = event.Object.DeepCopyObject()
	s.mu.Lock()
	s.pending = append(s.pending, event)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *stream) deliver() {
	defer close(s.events)
	for {
		s.mu.Lock()
		batch := slices.Clone(s.pending)
		s.pending = nil
		s.mu.Unlock()
		for _, event := range batch {
			select {
			case <-s.stopped.Done():
				return
			case s.events <- event:
			}
		}
		select {
		case <-s.stopped.Done():
			return
		case <-s.more:
		}
	}
}

func (s *stream) Stop()                          { s.stop() }
func (s *stream) ResultChan() <-chan watch.Event { return s.events }

func TestListOptionsKeepLimitAndContinueToken(t *testing.T) {
	got := listOptions(metav1.ListOptions{Limit: 7, Continue: "token", ResourceVersion: "0"}).AsListOptions()
	if got.Limit != 7 || got.Continue != "token" || got.ResourceVersion != "0" {
		t.Errorf("list options are %+v, want limit 7, continue token %q and resource version 0", got, "token")
	}
}
