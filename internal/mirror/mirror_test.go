// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/mirror"
	"roost.dev/roost/internal/mirror/mirrortest"
)

const kind = "StorageReport"

// follower is a mirror that runs until the test ends, what it put and what it logs.
type follower struct {
	api       *mirrortest.API
	clock     *clocktesting.FakeClock
	hasSynced func() bool
	served    func() bool
	cancel    context.CancelFunc
	ended     chan struct{}

	mu     sync.Mutex
	puts   map[string]int
	logged []string
}

func newFollower(api *mirrortest.API) *follower {
	return &follower{
		api: api, clock: clocktesting.NewFakeClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)),
		ended: make(chan struct{}), puts: map[string]int{},
	}
}

// follow runs a mirror of StorageReports.
func follow(t *testing.T, api *mirrortest.API) *follower {
	t.Helper()
	f := newFollower(api)
	run(t, f, mirror.Options[*storagev1alpha1.StorageReport]{
		NewObject: func() *storagev1alpha1.StorageReport { return &storagev1alpha1.StorageReport{} },
		NewList:   func() client.ObjectList { return &storagev1alpha1.StorageReportList{} },
	})
	return f
}

// run fills in the options and runs the mirror until the test ends.
func run[O client.Object](t *testing.T, f *follower, options mirror.Options[O]) {
	t.Helper()
	options.Kind, options.Client, options.Clock = kind, f.api, f.clock
	options.Put = func(_ klog.Logger, object O) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.puts[object.GetName()]++
	}
	options.Remove = func(name string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.puts, name)
	}
	options.Names = f.names
	m := mirror.New(options)
	f.hasSynced, f.served = m.HasSynced, m.Served
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), funcr.New(func(_, line string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.logged = append(f.logged, line)
	}, funcr.Options{})))
	f.cancel = cancel
	go func() { defer close(f.ended); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-f.ended })
}

func (f *follower) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.puts))
}

func (f *follower) has(names ...string) func() bool {
	return func() bool { return slices.Equal(f.names(), names) }
}

// putTimes is how often an object of that name was put since it came.
func (f *follower) putTimes(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.puts[name]
}

// lines counts the logged lines that hold the text.
func (f *follower) lines(text string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, line := range f.logged {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}

// steps steps the clock by a second at each try.
func (f *follower) steps(holds func() bool) func() bool {
	return func() bool { f.clock.Step(time.Second); return holds() }
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		t.Fatalf("waited in vain: %s", what)
	}
}

func newReport(name string) *storagev1alpha1.StorageReport {
	return &storagev1alpha1.StorageReport{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestObjectsAreFollowed(t *testing.T) {
	api := mirrortest.New()
	api.Write(newReport("a"))
	f := follow(t, api)
	eventually(t, "HasSynced is true", f.hasSynced)
	if diff := cmp.Diff([]string{"a"}, f.names()); diff != "" {
		t.Errorf("names once synced (-want +got):\n%s", diff)
	}
	api.Write(newReport("b"))
	eventually(t, "one that comes is put", f.has("a", "b"))
	api.Write(newReport("b"))
	eventually(t, "one that changes is put again", func() bool { return f.putTimes("b") == 2 })
	api.Remove(newReport("a"))
	eventually(t, "one that goes is removed", f.has("b"))
}

func TestUnstructuredObjectsAreFollowedThroughTheirKindsRemoval(t *testing.T) {
	newUnstructured := func() *unstructured.Unstructured {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(schema.GroupVersionKind{Group: "vendor.example.com", Version: "v1", Kind: kind})
		return object
	}
	api := mirrortest.New()
	object := newUnstructured()
	object.SetName("a")
	api.Write(object)
	f := newFollower(api)
	run(t, f, mirror.Options[*unstructured.Unstructured]{
		NewObject: newUnstructured,
		NewList: func() client.ObjectList {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(schema.GroupVersionKind{Group: "vendor.example.com", Version: "v1", Kind: kind + "List"})
			return list
		},
	})
	eventually(t, "an object is put", f.has("a"))
	api.Uninstall(kind, &meta.NoKindMatchError{})
	eventually(t, "it is removed with its kind", f.steps(f.has()))
	api.Fail(kind, nil)
	api.Write(object)
	eventually(t, "it comes back with its kind", f.steps(f.has("a")))
}

func TestKindsThatAreNotServed(t *testing.T) {
	for name, failure := range map[string]error{
		"a client without a REST mapping": &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "storage.roost.dev", Kind: "any"}},
		"an API server without the path":  apierrors.NewNotFound(schema.GroupResource{Group: "storage.roost.dev"}, ""),
		"a wrapped error":                 fmt.Errorf("listing: %w", &meta.NoResourceMatchError{}),
	} {
		t.Run(name, func(t *testing.T) {
			api := mirrortest.New()
			api.Fail(kind, failure)
			f := follow(t, api)
			eventually(t, "HasSynced is true where nothing is served", f.hasSynced)
			for polls := range 5 {
				eventually(t, "the kind is looked for again after five seconds", func() bool {
					if api.Lists() <= polls+1 {
						f.clock.Step(mirror.PollInterval)
					}
					return api.Lists() > polls+1
				})
			}
			if lines := f.lines("not served"); lines != 1 {
				t.Errorf("%d lines say that the kind is not served, want one", lines)
			}
			api.Fail(kind, nil)
			api.Write(newReport("a"))
			eventually(t, "an object is put after its kind appeared", f.steps(f.has("a")))
			eventually(t, "the log says so", func() bool { return f.lines("are served now") == 1 })
		})
	}
}

func TestKindThatIsNotServedIsLookedForOnlyEveryFiveSeconds(t *testing.T) {
	api := mirrortest.New()
	api.Fail(kind, &meta.NoKindMatchError{})
	f := follow(t, api)
	eventually(t, "HasSynced is true", f.hasSynced)
	eventually(t, "the mirror sleeps", f.clock.HasWaiters)
	before := api.Lists()
	f.clock.Step(mirror.PollInterval - time.Millisecond)
	if !f.clock.HasWaiters() {
		t.Error("the mirror is awake before the interval is over")
	}
	f.clock.Step(time.Millisecond)
	eventually(t, "the kind is looked for once more", func() bool { return api.Lists() == before+1 })
}

func TestKindThatIsRemovedIsForgottenAndComesBack(t *testing.T) {
	api := mirrortest.New()
	api.Write(newReport("a"))
	api.Write(newReport("b"))
	f := follow(t, api)
	eventually(t, "HasSynced is true", f.hasSynced)
	api.Uninstall(kind, apierrors.NewNotFound(schema.GroupResource{Group: "storage.roost.dev"}, ""))
	eventually(t, "everything is forgotten", f.steps(f.has()))
	if !f.hasSynced() {
		t.Error("HasSynced is false, want true")
	}
	eventually(t, "Served is false", func() bool { return !f.served() })
	api.Fail(kind, nil)
	api.Write(newReport("b"))
	eventually(t, "what came after its kind came back is put, and nothing else", f.steps(f.has("b")))
	eventually(t, "Served is true again", f.served)
}

func TestAPIServerThatFailsTakesNothingAway(t *testing.T) {
	api := mirrortest.New()
	api.Write(newReport("a"))
	f := follow(t, api)
	eventually(t, "HasSynced is true", f.hasSynced)
	api.Fail(kind, apierrors.NewInternalError(fmt.Errorf("etcd is away")))
	eventually(t, "the failure is logged", f.steps(func() bool { return f.lines("Failed to watch") > 0 }))
	if !f.has("a")() {
		t.Error("the object is removed, want it kept: the API server only failed")
	}
	api.Write(newReport("b"))
	api.Fail(kind, nil)
	eventually(t, "what came in the meantime is seen", f.steps(f.has("a", "b")))
}

func TestHasSyncedWaitsForAnAPIServerThatFails(t *testing.T) {
	api := mirrortest.New()
	api.Fail(kind, apierrors.NewForbidden(schema.GroupResource{}, "", nil))
	f := follow(t, api)
	eventually(t, "the failure is logged", func() bool { return f.lines("Failed to watch") > 0 })
	if f.hasSynced() {
		t.Error("HasSynced is true, want false: nobody knows which objects there are")
	}
}

func TestRunEndsWhileTheAPIServerRefusesConnections(t *testing.T) {
	api := mirrortest.New()
	api.Fail(kind, fmt.Errorf("dialing: %w", syscall.ECONNREFUSED))
	f := follow(t, api)
	eventually(t, "the kind is tried", f.clock.HasWaiters)
	f.cancel()
	select {
	case <-f.ended:
	case <-time.After(10 * time.Second):
		t.Error("Run goes on 10 s after its context ended")
	}
}

func TestObjectsThatGoWhileNobodyWatchesAreRemoved(t *testing.T) {
	api := mirrortest.New()
	api.Write(newReport("a"))
	f := follow(t, api)
	eventually(t, "HasSynced is true", f.hasSynced)
	api.Uninstall(kind, nil)
	api.Write(newReport("b"))
	eventually(t, "the new list counts", f.steps(f.has("b")))
	if lines := f.lines("Failed to watch"); lines != 0 {
		t.Errorf("%d lines speak of a failure, want 0: a resource version that is too old is nothing special", lines)
	}
}
