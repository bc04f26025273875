// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"roost.dev/roost/drivers"
)

const (
	readers = 4
	moves   = 50
	runs    = 5
)

func servesReaders(t *testing.T, f Fixture) error {
	nodes, volume := Nodes(), f.Volume(0)
	here, there := nodes[:1], nodes[1:]
	f.Place(t, volume, here...)
	r, err := start(t, f.Driver(t))
	if err != nil {
		return err
	}
	wrong, done := make(chan error, readers), make(chan struct{})
	var group sync.WaitGroup
	for range readers {
		group.Go(func() { wrong <- read(r, volume, here, there, done) })
	}
	for range moves {
		f.Place(t, volume, there...)
		f.Place(t, volume, here...)
	}
	f.Place(t, volume, there...)
	errs := []error{eventually(t, "the last move is seen", func() bool { return r.isOn(volume, there...) })}
	close(done)
	group.Wait()
	close(wrong)
	for err := range wrong {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, r.stop())...)
}

// read returns the first answer that is neither here nor there.
func read(r *running, volume drivers.VolumeID, here, there []string, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
		}
		location, ok := r.Locator.Locate(volume)
		if !ok || whole(location, here) != nil && whole(location, there) != nil {
			return fmt.Errorf("while a volume moves between %v and %v, Locate is %+v, %t", here, there, location, ok)
		}
	}
}

func ages(t *testing.T, f Fixture) error {
	node, volume := Nodes()[0], f.Volume(0)
	f.Place(t, volume, node)
	d := f.Driver(t)
	r, err := start(t, d)
	if err != nil {
		return err
	}
	var errs []error
	if location, _ := r.Locator.Locate(volume); d.MaxAge == 0 {
		if !location.ObservedAt.IsZero() {
			errs = append(errs, fmt.Errorf("MaxAge is zero, but ObservedAt is %s, want zero", location.ObservedAt))
		}
		return errors.Join(append(errs, r.stop())...)
	}
	var last time.Time
	for _, state := range []drivers.StorageState{drivers.Online, drivers.Online, drivers.Degraded} {
		f.Report(t, node, state)
		errs = append(errs, eventually(t, "ObservedAt of a volume is later after a report than before it", func() bool {
			location, ok := r.Locator.Locate(volume)
			return ok && location.ObservedAt.After(last)
		}))
		location, _ := r.Locator.Locate(volume)
		last = location.ObservedAt
	}
	return errors.Join(append(errs, r.stop())...)
}

func allocatesNothing(t *testing.T, f Fixture) error {
	nodes, volume := Nodes(), f.Volume(0)
	f.Place(t, volume, nodes...)
	r, err := start(t, f.Driver(t))
	if err != nil {
		return err
	}
	var errs []error
	known := true
	if allocations := testing.AllocsPerRun(1000, func() {
		_, ok := r.Locator.Locate(volume)
		known = known && ok
	}); allocations > 0 || !known {
		errs = append(errs, fmt.Errorf("Locate of a known volume allocates %.0f times, want 0 (known: %t)", allocations, known))
	}
	if allocations := testing.AllocsPerRun(1000, func() { r.Source.HasSynced() }); allocations > 0 {
		errs = append(errs, fmt.Errorf("HasSynced allocates %.0f times, want 0: look-ups ask for it", allocations))
	}
	return errors.Join(append(errs, r.stop())...)
}

func stops(t *testing.T, f Fixture) error {
	f.Place(t, f.Volume(0), Nodes()[0])
	r, err := start(t, f.Driver(t))
	if err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	// The first run is not measured, for what it starts once may stay.
	before := runtime.NumGoroutine()
	for range runs {
		if err := errors.Join(r.start(t), r.stop()); err != nil {
			return err
		}
	}
	if err := eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() < before+runs }); err != nil {
		return fmt.Errorf("%d runs leave %d goroutines: %w", runs, runtime.NumGoroutine()-before, err)
	}
	return nil
}
