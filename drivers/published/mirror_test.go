// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// run is a driver that runs until the test ends, and what it tells and logs.
type run struct {
	*Source
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	told   []drivers.Change
	logged []string
}

func (v *vendor) run(t *testing.T) *run {
	t.Helper()
	r := &run{Source: v.newSource(t), ended: make(chan struct{})}
	r.Subscribe(func(change drivers.Change) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, change)
	})
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), funcr.New(func(_, line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.logged = append(r.logged, line)
	}, funcr.Options{})))
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run ends with %v, want nil", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// lines counts the logged lines that hold the text.
func (r *run) lines(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for _, line := range r.logged {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}

func (r *run) tellings(change drivers.Change) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for _, told := range r.told {
		if told == change {
			count++
		}
	}
	return count
}

func (r *run) knows(id drivers.VolumeID) bool {
	_, ok := r.Locate(id)
	return ok
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		t.Fatalf("waited in vain: %s", what)
	}
}

func TestKindsThatAreNotServed(t *testing.T) {
	for name, failure := range map[string]error{
		"a client without a REST mapping": &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "storage.roost.dev", Kind: "any"}},
		"an API server without the path":  apierrors.NewNotFound(schema.GroupResource{Group: "storage.roost.dev"}, ""),
		"a wrapped error":                 fmt.Errorf("listing: %w", &meta.NoResourceMatchError{}),
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor()
			v.api.fail("VolumeTopology", failure)
			v.api.fail("StorageReport", failure)
			r := v.run(t)
			eventually(t, "HasSynced is true where nothing is served", r.HasSynced)
			for polls := 2; polls < 12; polls += 2 {
				eventually(t, "both kinds are looked for again after five seconds", func() bool {
					if v.api.listed() <= polls {
						v.clock.Step(pollInterval)
					}
					return v.api.listed() > polls
				})
			}
			if lines := r.lines("not served"); lines != 2 {
				t.Errorf("%d lines say that a kind is not served, want one a kind", lines)
			}
			v.Place(t, v.Volume(0), "node-a")
			v.api.fail("VolumeTopology", nil)
			eventually(t, "a volume is located after its kind appeared", func() bool {
				v.clock.Step(pollInterval)
				return r.knows(v.Volume(0))
			})
			eventually(t, "the log says so", func() bool { return r.lines("are served now") == 1 })
		})
	}
}

func TestKindThatIsNotServedIsLookedForOnlyEveryFiveSeconds(t *testing.T) {
	v := newVendor()
	v.api.fail("VolumeTopology", &meta.NoKindMatchError{})
	r := v.run(t)
	eventually(t, "HasSynced is true", r.HasSynced)
	eventually(t, "the driver sleeps", v.clock.HasWaiters)
	before := v.api.listed()
	v.clock.Step(pollInterval - time.Millisecond)
	v.Report(t, "node-a", drivers.Online) // steps the clock past the interval, and shows that the driver is alive
	eventually(t, "the report is seen", func() bool { _, ok := r.NodeReport(provisioner, "node-a"); return ok })
	eventually(t, "the kind is looked for once more", func() bool { return v.api.listed() == before+1 })
}

func TestKindThatIsRemovedIsForgottenAndComesBack(t *testing.T) {
	v := newVendor()
	v.Place(t, v.Volume(0), "node-a")
	v.Place(t, v.Volume(1), "node-a")
	v.Report(t, "node-a", drivers.Online)
	r := v.run(t)
	eventually(t, "HasSynced is true", r.HasSynced)

	gone := apierrors.NewNotFound(schema.GroupResource{Group: "storage.roost.dev"}, "")
	v.api.uninstall("VolumeTopology", gone)
	v.api.uninstall("StorageReport", gone)
	node := drivers.Change{Provisioner: provisioner, Node: "node-a"}
	eventually(t, "everything is forgotten and told", func() bool {
		v.clock.Step(time.Second)
		return r.tellings(drivers.Change{Volume: v.Volume(0)}) == 2 && r.tellings(drivers.Change{Volume: v.Volume(1)}) == 2 && r.tellings(node) == 2
	})
	if _, ok := r.NodeReport(provisioner, "node-a"); ok || r.knows(v.Volume(0)) || r.knows(v.Volume(1)) {
		t.Errorf("report %t, volumes %t and %t are known, want nothing", ok, r.knows(v.Volume(0)), r.knows(v.Volume(1)))
	}
	if !r.HasSynced() {
		t.Error("HasSynced is false, want true")
	}

	v.api.fail("VolumeTopology", nil)
	v.Place(t, v.Volume(1), "node-b")
	eventually(t, "a volume is located after its kind came back", func() bool {
		v.clock.Step(time.Second)
		return r.knows(v.Volume(1))
	})
	if r.knows(v.Volume(0)) {
		t.Error("a volume is located that went with its kind")
	}
}

func TestAPIServerThatFailsTakesNothingAway(t *testing.T) {
	v := newVendor()
	v.Place(t, v.Volume(0), "node-a")
	r := v.run(t)
	eventually(t, "HasSynced is true", r.HasSynced)
	v.api.fail("VolumeTopology", apierrors.NewInternalError(fmt.Errorf("etcd is away")))
	eventually(t, "the failure is logged", func() bool {
		v.clock.Step(time.Second)
		return r.lines("Failed to watch") > 0
	})
	if !r.knows(v.Volume(0)) {
		t.Error("the volume is forgotten, want it known: the API server only failed")
	}
	v.Place(t, v.Volume(1), "node-a")
	v.api.fail("VolumeTopology", nil)
	eventually(t, "what came in the meantime is seen", func() bool {
		v.clock.Step(time.Second)
		return r.knows(v.Volume(1))
	})
	if told := r.tellings(drivers.Change{Volume: v.Volume(0)}); told != 1 {
		t.Errorf("%d changes of a volume that did not change are told, want 1, when it came", told)
	}
}

func TestHasSyncedWaitsForAnAPIServerThatFails(t *testing.T) {
	v := newVendor()
	v.api.fail("StorageReport", apierrors.NewForbidden(schema.GroupResource{}, "", nil))
	r := v.run(t)
	eventually(t, "the failure is logged", func() bool { return r.lines("Failed to watch") > 0 })
	eventually(t, "the other kind is synced", r.topologies.synced.Load)
	if r.HasSynced() {
		t.Error("HasSynced is true, want false: nobody knows which reports there are")
	}
}

func TestRunEndsWhileTheAPIServerRefusesConnections(t *testing.T) {
	v := newVendor()
	for _, kind := range []string{"VolumeTopology", "StorageReport"} {
		v.api.fail(kind, fmt.Errorf("dialing: %w", syscall.ECONNREFUSED))
	}
	r := v.run(t)
	eventually(t, "both kinds are tried", func() bool { return v.clock.HasWaiters() })
	r.cancel()
	select {
	case <-r.ended:
	case <-time.After(10 * time.Second):
		t.Error("Run goes on 10 s after its context ended")
	}
}

func TestObjectsThatGoWhileNobodyWatchesAreForgotten(t *testing.T) {
	v := newVendor()
	v.Place(t, v.Volume(0), "node-a")
	r := v.run(t)
	eventually(t, "HasSynced is true", r.HasSynced)
	v.api.uninstall("VolumeTopology", nil)
	v.Place(t, v.Volume(1), "node-a")
	eventually(t, "the new list counts", func() bool {
		v.clock.Step(time.Second)
		return r.knows(v.Volume(1)) && !r.knows(v.Volume(0))
	})
	if lines := r.lines("Failed to watch"); lines != 0 {
		t.Errorf("%d lines speak of a failure, want 0: a resource version that is too old is nothing special", lines)
	}
}

func TestStoreRefusesAnotherKind(t *testing.T) {
	s := &store[*storagev1alpha1.StorageReport]{mirror: newVendor().newSource(t).reports}
	for name, call := range map[string]func(any) error{
		"Add": s.Add, "Update": s.Update, "Delete": s.Delete, "Replace": func(object any) error { return s.Replace([]any{object}, "") },
	} {
		if err := call(&storagev1alpha1.VolumeTopology{}); err == nil {
			t.Errorf("%s takes a VolumeTopology for a StorageReport, want an error", name)
		}
	}
	if s.mirror.synced.Load() {
		t.Error("the kind is synced after a list that was refused, want not")
	}
}
