// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"roost.dev/roost/drivers"
)

// patience is how long a driver may take to learn of a change, or to stop.
var patience = 10 * time.Second

// running is a driver that runs, and the changes it has told.
type running struct {
	drivers.Driver
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex
	changes []drivers.Change
	// reported are the states of the nodes when their changes were told.
	reported []drivers.StorageState

	telling    atomic.Bool
	overlapped atomic.Bool
}

// start runs the driver, and waits until it has synced. The caller stops it.
func start(t *testing.T, d drivers.Driver) (*running, error) {
	r := &running{Driver: d}
	d.Source.Subscribe(r.changed)
	return r, r.start(t)
}

func (r *running) start(t *testing.T) error {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- r.Source.Run(ctx) }()
	return eventually(t, "HasSynced is true", r.Source.HasSynced)
}

func (r *running) stop() error {
	r.cancel()
	select {
	case err := <-r.ended:
		if err != nil {
			return fmt.Errorf("Run ended with %w after its context did, want nil", err)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("Run goes on %s after its context ended", patience)
	}
}

func (r *running) changed(change drivers.Change) {
	if r.telling.Swap(true) {
		r.overlapped.Store(true)
	}
	runtime.Gosched() // so that another call, if there can be one, comes now
	var report drivers.NodeReport
	if r.Health != nil && change.Node != "" {
		report, _ = r.Health.NodeReport(change.Provisioner, change.Node)
	}
	r.mu.Lock()
	r.changes = append(r.changes, change)
	r.reported = append(r.reported, report.State)
	r.mu.Unlock()
	r.telling.Store(false)
}

// told is how often the change was told.
func (r *running) told(change drivers.Change) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for _, c := range r.changes {
		if c == change {
			count++
		}
	}
	return count
}

// states are those that the node was in when its changes were told.
func (r *running) states(provisioner, node string) []drivers.StorageState {
	r.mu.Lock()
	defer r.mu.Unlock()
	var states []drivers.StorageState
	for i, c := range r.changes {
		if c == (drivers.Change{Provisioner: provisioner, Node: node}) {
			states = append(states, r.reported[i])
		}
	}
	return states
}

// lastState is the last of states, Unknown where there is none.
func (r *running) lastState(provisioner, node string) drivers.StorageState {
	states := r.states(provisioner, node)
	if len(states) == 0 {
		return drivers.Unknown
	}
	return states[len(states)-1]
}

// isOn says that the volume has InSync replicas on these nodes, in any order, and no other replica.
func (r *running) isOn(id drivers.VolumeID, nodes ...string) bool {
	location, ok := r.Locator.Locate(id)
	return ok && whole(location, nodes) == nil
}

// whole returns what is wrong with a location that should be these nodes.
func whole(location drivers.Location, nodes []string) error {
	var on []string
	for _, replica := range location.Replicas {
		if replica.State != drivers.InSync {
			return fmt.Errorf("replica on %s is %s, want InSync", replica.Node, replica.State)
		}
		on = append(on, replica.Node)
	}
	slices.Sort(on)
	if !slices.Equal(on, nodes) {
		return fmt.Errorf("replicas are on %v, want %v", on, nodes)
	}
	return nil
}

// eventually returns an error if the condition does not come to hold while patience lasts.
func eventually(t *testing.T, condition string, holds func() bool) error {
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, patience, true,
		func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		return fmt.Errorf("waited %s in vain: %s", patience, condition)
	}
	return nil
}
