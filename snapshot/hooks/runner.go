// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// DefaultMaxFreeze is hooks.maxFreeze of an object that the API has not filled in.
	DefaultMaxFreeze = 30 * time.Second
	// DefaultTimeout is that of a hook that the API has not filled in.
	DefaultTimeout = 10 * time.Second

	// MaxPods is how many pods a journal has room for.
	MaxPods = 256

	// parallelism is how many pods of a hook run their command at the same time.
	parallelism = 16
)

// ErrBusy is wrapped by what Plan and Freeze return while another ApplicationSnapshot has a pod frozen: whichever of the two
// thaws first would thaw the other's. Trying again later helps.
var ErrBusy = errors.New("another ApplicationSnapshot has it frozen")

// Options are what a Runner needs.
type Options struct {
	// Client reads the API server itself.
	Client client.Client
	// Memory has the ApplicationSnapshots. It may be stale.
	Memory   client.Reader
	Executor Executor
	Clock    clock.Clock
	// Metrics may be nil.
	Metrics *Metrics
}

// Runner freezes and thaws. There is one a process; it may be used by several goroutines, for one ApplicationSnapshot each.
type Runner struct {
	client   client.Client
	memory   client.Reader
	executor Executor
	clock    clock.Clock
	metrics  *Metrics

	mu sync.Mutex
	// frozen are the pods that this process has frozen, by their UID, and for which run.
	frozen map[string]string
}

// New returns a Runner that has frozen nothing.
func New(options Options) *Runner {
	metrics := options.Metrics
	if metrics == nil {
		metrics = NewMetrics()
	}
	return &Runner{
		client: options.Client, memory: options.Memory, executor: options.Executor,
		clock: options.Clock, metrics: metrics, frozen: map[string]string{},
	}
}

// NeedsThaw says that something may be frozen: Thaw has to be called, by whoever reads this status.
func NeedsThaw(status *snapshotv1alpha1.ApplicationSnapshotStatus) bool {
	if status.Freeze == nil {
		return false
	}
	switch status.Freeze.State {
	case snapshotv1alpha1.Freezing, snapshotv1alpha1.Frozen, snapshotv1alpha1.Thawing:
		return true
	default:
		return false
	}
}

// reserve keeps two runs of this process out of the same pod. All or none; it gives the name of a pod that is taken.
func (r *Runner) reserve(freeze *snapshotv1alpha1.Freeze) (taken string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range freeze.Pods {
		if by, ok := r.frozen[freeze.Pods[i].UID]; ok && by != freeze.RunID {
			return freeze.Pods[i].Name
		}
	}
	for i := range freeze.Pods {
		r.frozen[freeze.Pods[i].UID] = freeze.RunID
	}
	return ""
}

func (r *Runner) release(freeze *snapshotv1alpha1.Freeze) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range freeze.Pods {
		if r.frozen[freeze.Pods[i].UID] == freeze.RunID {
			delete(r.frozen, freeze.Pods[i].UID)
		}
	}
}
