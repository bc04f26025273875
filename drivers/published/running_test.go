// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

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

func TestKindThatIsRemovedIsForgottenAndComesBack(t *testing.T) {
	v := newVendor()
	v.Place(t, v.Volume(0), "node-a")
	v.Place(t, v.Volume(1), "node-a")
	v.Report(t, "node-a", drivers.Online)
	r := v.run(t)
	eventually(t, "HasSynced is true", r.HasSynced)

	gone := apierrors.NewNotFound(schema.GroupResource{Group: "storage.roost.dev"}, "")
	v.api.Uninstall("VolumeTopology", gone)
	v.api.Uninstall("StorageReport", gone)
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

	v.api.Fail("VolumeTopology", nil)
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
	v.api.Fail("VolumeTopology", apierrors.NewInternalError(fmt.Errorf("etcd is away")))
	eventually(t, "the failure is logged", func() bool {
		v.clock.Step(time.Second)
		return r.lines("Failed to watch") > 0
	})
	if !r.knows(v.Volume(0)) {
		t.Error("the volume is forgotten, want it known: the API server only failed")
	}
	v.Place(t, v.Volume(1), "node-a")
	v.api.Fail("VolumeTopology", nil)
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
	v.api.Fail("StorageReport", apierrors.NewForbidden(schema.GroupResource{}, "", nil))
	r := v.run(t)
	eventually(t, "the failure is logged", func() bool { return r.lines("Failed to watch") > 0 })
	eventually(t, "the other kind is synced", r.topologies.HasSynced)
	if r.HasSynced() {
		t.Error("HasSynced is true, want false: nobody knows which reports there are")
	}
}
