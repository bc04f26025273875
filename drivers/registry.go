// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Registry holds a process's drivers and finds the one that knows a volume. Add every driver first; from Run on the set
// does not change, so that no lookup takes a lock of the registry's own.
type Registry struct {
	clock     clock.WithTicker
	metrics   *Metrics
	drivers   []*registered
	fallbacks []*registered
	byVendor  map[string]*registered
}

// registered is a driver with its metrics resolved once, not in every call.
type registered struct {
	Driver
	locate, nodeReport, fenced callMetrics
}

// NewRegistry returns an empty registry. metrics may be shared with nothing else.
func NewRegistry(clock clock.WithTicker, metrics *Metrics) *Registry {
	return &Registry{clock: clock, metrics: metrics, byVendor: map[string]*registered{}}
}

// Add registers a driver. Fallbacks are asked in the order in which they were added. It refuses a driver that is
// incomplete, and one whose name or provisioner is taken.
func (r *Registry) Add(d Driver) error {
	if err := r.check(d); err != nil {
		return fmt.Errorf("adding driver %q: %w", d.Name, err)
	}
	added := &registered{
		Driver:     d,
		locate:     r.metrics.forCall(d.Name, "locate"),
		nodeReport: r.metrics.forCall(d.Name, "node_report"),
		fenced:     r.metrics.forCall(d.Name, "fenced"),
	}
	r.drivers = append(r.drivers, added)
	if len(d.Provisioners) == 0 {
		r.fallbacks = append(r.fallbacks, added)
	}
	for _, provisioner := range d.Provisioners {
		r.byVendor[provisioner] = added
	}
	return nil
}

func (r *Registry) check(d Driver) error {
	var errs []error
	if d.Name == "" {
		errs = append(errs, errors.New("name is empty"))
	}
	if d.Source == nil {
		errs = append(errs, errors.New("source is missing"))
	}
	if d.Locator == nil {
		errs = append(errs, errors.New("locator is missing"))
	}
	if d.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("maximum age %s is negative", d.MaxAge))
	}
	if slices.ContainsFunc(r.drivers, func(other *registered) bool { return other.Name == d.Name }) {
		errs = append(errs, errors.New("name is taken"))
	}
	seen := map[string]bool{}
	for _, provisioner := range d.Provisioners {
		if other, taken := r.byVendor[provisioner]; taken {
			errs = append(errs, fmt.Errorf("provisioner %q is served by driver %q", provisioner, other.Name))
		}
		if provisioner == "" || seen[provisioner] {
			errs = append(errs, fmt.Errorf("provisioner %q is empty or named twice", provisioner))
		}
		seen[provisioner] = true
	}
	return errors.Join(errs...)
}

// Answer is what the registry knows of a volume's location.
type Answer struct {
	// Location is set where Knowledge is Known.
	Location
	// Knowledge says whether the location can be relied on.
	Knowledge Knowledge
	// Driver is the name of the driver that knows the volume, empty where none does.
	Driver string
}

// Knowledge says whether an answer can be relied on.
type Knowledge uint8

const (
	// NotKnown means that no driver knows the volume.
	NotKnown Knowledge = iota
	// TooOld means that a driver knows the volume, but has not heard from the storage system for longer than its MaxAge; or
	// that it may know the volume, but has not synced.
	TooOld
	// Known means that the answer is current.
	Known
)

// Locate asks the volume's own driver, then the fallbacks, and returns the answer of the first that knows the volume. It
// asks nobody behind a driver that has not synced: that one may know better.
func (r *Registry) Locate(id VolumeID) Answer {
	for d := range r.candidates(id.Provisioner) {
		start := r.clock.Now()
		location, ok := d.Locator.Locate(id)
		knowledge := d.judge(ok, location.ObservedAt, start)
		if knowledge == NotKnown && !d.Source.HasSynced() {
			knowledge = TooOld
		}
		d.locate.observe(knowledge, r.clock.Since(start))
		switch knowledge {
		case Known:
			return Answer{Location: location, Knowledge: Known, Driver: d.Name}
		case TooOld:
			return Answer{Knowledge: TooOld, Driver: d.Name}
		case NotKnown:
		}
	}
	return Answer{}
}

// NodeReport asks the provisioner's own driver, then the fallbacks. Its state is Unknown where no driver knows, or where
// the one that does has not heard from the storage system for longer than its MaxAge.
func (r *Registry) NodeReport(provisioner, node string) NodeReport {
	for d := range r.candidates(provisioner) {
		if d.Health == nil {
			continue
		}
		start := r.clock.Now()
		report, ok := d.Health.NodeReport(provisioner, node)
		knowledge := d.judge(ok, report.ObservedAt, start)
		d.nodeReport.observe(knowledge, r.clock.Since(start))
		switch knowledge {
		case Known:
			report.LocatesAll = d.LocatesAll
			return report
		case TooOld:
			report.State, report.LocatesAll = Unknown, d.LocatesAll
			return report
		case NotKnown:
		}
	}
	return NodeReport{}
}

// Fenced asks the provisioner's own driver, then the fallbacks, and returns the first proof that the node can no longer
// write to the volume. A driver that has not heard from the storage system for longer than its MaxAge proves nothing.
func (r *Registry) Fenced(id VolumeID, node string) (Fence, bool) {
	for d := range r.candidates(id.Provisioner) {
		if d.Fencer == nil {
			continue
		}
		start := r.clock.Now()
		fence, ok := d.Fencer.Fenced(id, node)
		knowledge := d.judge(ok, fence.ObservedAt, start)
		d.fenced.observe(knowledge, r.clock.Since(start))
		if knowledge == Known {
			return fence, true
		}
	}
	return Fence{}, false
}

// candidates are the drivers to ask about a provisioner's volumes: its own driver, then the fallbacks.
func (r *Registry) candidates(provisioner string) iter.Seq[*registered] {
	return func(yield func(*registered) bool) {
		if vendor, ok := r.byVendor[provisioner]; ok && !yield(vendor) {
			return
		}
		for _, d := range r.fallbacks {
			if !yield(d) {
				return
			}
		}
	}
}

// judge says what an answer observed at that time is worth now.
func (d *registered) judge(ok bool, observedAt, now time.Time) Knowledge {
	switch {
	case !ok:
		return NotKnown
	case d.MaxAge > 0 && !observedAt.IsZero() && now.Sub(observedAt) > d.MaxAge:
		return TooOld
	default:
		return Known
	}
}

// HasSynced says that every driver has.
func (r *Registry) HasSynced() bool {
	return len(r.NotSynced()) == 0
}

// NotSynced returns the names of the drivers whose memory is not complete yet.
func (r *Registry) NotSynced() []string {
	var names []string
	for _, d := range r.drivers {
		if !d.Source.HasSynced() {
			names = append(names, d.Name)
		}
	}
	return names
}

// Subscribe has changed called after each change in any driver's memory from then on. changed must not block, and drivers
// may call it at the same time.
func (r *Registry) Subscribe(changed func(Change)) {
	for _, d := range r.drivers {
		d.Source.Subscribe(changed)
	}
}

// Run keeps every driver's memory fresh until ctx is done. A driver that fails is started again, at growing intervals up
// to a minute; the others are not affected, and its answers grow too old in the meantime.
func (r *Registry) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, d := range r.drivers {
		group.Go(func() { r.keepRunning(ctx, d) })
	}
	group.Wait()
}

func (r *Registry) keepRunning(ctx context.Context, d *registered) {
	logger := klog.FromContext(ctx).WithValues("driver", d.Name)
	ctx = klog.NewContext(ctx, logger)
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 6, Cap: time.Minute}
	delay := backoff.DelayWithReset(r.clock, 10*time.Minute)
	for ctx.Err() == nil {
		if err := d.Source.Run(ctx); err != nil && ctx.Err() == nil {
			logger.Error(err, "Driver failed; starting it again")
			r.metrics.restarts.WithLabelValues(d.Name).Inc()
		}
		select {
		case <-ctx.Done():
		case <-r.clock.After(delay()):
		}
	}
}
