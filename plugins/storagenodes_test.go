// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	testingclock "k8s.io/utils/clock/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
	"roost.dev/roost/internal/mirror/mirrortest"
)

const provisioner = "csi.example.com"

// storageNode is an object about a node, by the provisioner above.
func storageNode(name, node string, state storagev1alpha1.HealthState) *storagev1alpha1.StorageNode {
	return &storagev1alpha1.StorageNode{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       storagev1alpha1.StorageNodeSpec{Provisioner: provisioner, NodeName: node},
		Status:     storagev1alpha1.StorageNodeStatus{State: state},
	}
}

func inMaintenance(object *storagev1alpha1.StorageNode) *storagev1alpha1.StorageNode {
	object.Spec.Maintenance = true
	return object
}

// told are the nodes that a subscriber heard of.
type told struct {
	mu    sync.Mutex
	nodes []string
}

func (c *told) changed(_, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, node)
}

func (c *told) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes := c.nodes
	c.nodes = nil
	return nodes
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited in vain: %s", what)
	}
}

func TestStorageNodesAreFollowedThroughTheirKindsRemoval(t *testing.T) {
	api, clock := mirrortest.New(), testingclock.NewFakeClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	api.Write(storageNode("a", "a", storagev1alpha1.HealthSuspect))
	s := NewStorageNodes()
	s.Follow(t.Context(), api, clock)
	is := func(node string, want StorageNode) func() bool {
		return func() bool { return s.Of(provisioner, node) == want }
	}
	if got := s.Of(provisioner, "a").State; got != storagev1alpha1.HealthSuspect {
		t.Errorf("state once followed = %q, want Suspect", got)
	}
	offline := inMaintenance(storageNode("b", "b", storagev1alpha1.HealthUnhealthy))
	offline.Status.StorageState = "Offline"
	api.Write(offline)
	waitUntil(t, "one that comes is known", is("b", StorageNode{Maintenance: true, State: storagev1alpha1.HealthUnhealthy, Storage: drivers.Offline}))
	if got := s.Of("other.example.com", "b"); got != (StorageNode{}) {
		t.Errorf("another provisioner has %+v, want nothing", got)
	}
	api.Remove(storageNode("a", "a", ""))
	waitUntil(t, "one that goes is forgotten", is("a", StorageNode{}))

	api.Uninstall("StorageNode", &meta.NoKindMatchError{})
	waitUntil(t, "all are forgotten with their kind", func() bool { clock.Step(time.Second); return is("b", StorageNode{})() })
	api.Fail("StorageNode", nil)
	api.Write(offline)
	waitUntil(t, "they come back with their kind", func() bool { clock.Step(mirror.PollInterval); return s.Of(provisioner, "b").Maintenance })
}

func TestSubscribersHearOfWhatChanged(t *testing.T) {
	s, heard := NewStorageNodes(), &told{}
	s.Subscribe(heard.changed)
	steps := []struct {
		name string
		step func()
		want []string
	}{
		{"one comes", func() { s.put(storageNode("x", "a", storagev1alpha1.HealthHealthy)) }, []string{"a"}},
		{"nothing that counts changes", func() { s.put(storageNode("x", "a", storagev1alpha1.HealthHealthy)) }, nil},
		{"its verdict changes", func() { s.put(storageNode("x", "a", storagev1alpha1.HealthSuspect)) }, []string{"a"}},
		{"its maintenance begins", func() { s.put(inMaintenance(storageNode("x", "a", storagev1alpha1.HealthSuspect))) }, []string{"a"}},
		{"it is made again for another node", func() { s.put(storageNode("x", "b", storagev1alpha1.HealthSuspect)) }, []string{"a", "b"}},
		{"it goes", func() { s.remove("x") }, []string{"b"}},
		{"one goes that never was", func() { s.remove("y") }, nil},
	}
	for _, tc := range steps {
		tc.step()
		got := heard.take()
		slices.Sort(got)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: heard of (-want +got):\n%s", tc.name, diff)
		}
	}
	if len(s.keys) != 0 || len(s.byKey) != 0 {
		t.Errorf("%v and %v are remembered of what is gone", s.keys, s.byKey)
	}
}

func TestSeveralStorageNodesOfOneNode(t *testing.T) {
	s := NewStorageNodes()
	s.put(inMaintenance(storageNode("an-operators", "a", "")))
	s.put(storageNode("second", "a", storagev1alpha1.HealthFailedOver))
	s.put(storageNode("first", "a", storagev1alpha1.HealthHealthy))
	if diff := cmp.Diff(StorageNode{Maintenance: true, State: storagev1alpha1.HealthHealthy}, s.Of(provisioner, "a")); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	s.remove("an-operators")
	s.remove("first")
	if diff := cmp.Diff(StorageNode{State: storagev1alpha1.HealthFailedOver}, s.Of(provisioner, "a")); diff != "" {
		t.Errorf("after two are gone (-want +got):\n%s", diff)
	}
}

func TestTheStartDoesNotWaitForStorageNodesThatAreNotListed(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"reading is forbidden":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"the API server hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"there is no such kind": notServed,
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewStorageNodes()
			s.firstSync = 100 * time.Millisecond
			handle := apiServer(t, handler)
			if err := s.Start(t.Context(), handle); err != nil {
				t.Fatalf("Start: %v", err)
			}
			if got := s.Of(provisioner, "a"); got != (StorageNode{}) {
				t.Errorf("known: %+v, want nothing", got)
			}
		})
	}
}

func TestStorageNodesAreStartedOnce(t *testing.T) {
	var requests sync.Map
	handle := apiServer(t, func(w http.ResponseWriter, r *http.Request) { requests.Store(r, true); notServed(w, r) })
	s := NewStorageNodes()
	for range 3 {
		if err := s.Start(t.Context(), handle); err != nil {
			t.Fatalf("Start: %v", err)
		}
	}
	count := 0
	requests.Range(func(any, any) bool { count++; return true })
	// A streamed list, and a plain one after it is refused.
	if count > 2 {
		t.Errorf("%d requests, want those of one follower", count)
	}
	if err := NewStorageNodes().Start(t.Context(), framework{}); err == nil {
		t.Error("started without a kubeconfig")
	}
}

func TestLookingUpStorageNodesAllocatesNothing(t *testing.T) {
	s := NewStorageNodes()
	s.put(storageNode("x", "a", storagev1alpha1.HealthHealthy))
	if allocs := testing.AllocsPerRun(100, func() { s.Of(provisioner, "a"); s.Of(provisioner, "b") }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
