// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"roost.dev/roost/drivers"
)

// fences takes a driver that also proves more than was asked for, such as a node that is fenced from all volumes of its
// storage system.
func fences(t *testing.T, f Fixture) error {
	d := f.Driver(t)
	if d.Fencer == nil {
		return nil
	}
	volume, node, other := f.Volume(0), Nodes()[0], Nodes()[1]
	f.Place(t, volume, node)
	r, err := start(t, d)
	if err != nil {
		return err
	}
	proven := func() bool { _, ok := r.Fencer.Fenced(volume, node); return ok }
	var errs []error
	if proven() {
		errs = append(errs, errors.New("Fenced has proof for a node that is not fenced"))
	}
	wrong, done := make(chan error, readers), make(chan struct{})
	var group sync.WaitGroup
	for range readers {
		group.Go(func() { wrong <- readProofs(r, volume, other, done) })
	}
	for range 2 {
		f.Fence(t, volume, node, true)
		errs = append(errs, eventually(t, "there is proof for a node that is fenced", proven))
		f.Fence(t, volume, node, false)
		errs = append(errs, eventually(t, "there is no proof for a node that was let in again", func() bool { return !proven() }))
	}
	close(done)
	group.Wait()
	close(wrong)
	for err := range wrong {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, r.stop())...)
}

// readProofs returns the first proof of what was never fenced.
func readProofs(r *running, volume drivers.VolumeID, other string, done <-chan struct{}) error {
	for {
		for _, never := range []struct {
			id   drivers.VolumeID
			node string
		}{
			{volume, other},
			{volume, "node-nowhere"},
			{volume, ""},
			{drivers.VolumeID{}, other},
			{drivers.VolumeID{Provisioner: "other." + volume.Provisioner, Handle: volume.Handle}, other},
			{drivers.VolumeID{Provisioner: "other." + volume.Provisioner, Handle: volume.Handle}, Nodes()[0]},
		} {
			if fence, ok := r.Fencer.Fenced(never.id, never.node); ok {
				return fmt.Errorf("Fenced(%+v, %q) is %+v, want no proof: it was never fenced", never.id, never.node, fence)
			}
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
}
