// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"k8s.io/utils/clock"

	"roost.dev/roost/drivers"
)

func registers(t *testing.T, f Fixture) error {
	return drivers.NewRegistry(clock.RealClock{}, drivers.NewMetrics()).Add(f.Driver(t))
}

func syncs(t *testing.T, f Fixture) error {
	d, volume, node := f.Driver(t), f.Volume(0), Nodes()[0]
	f.Place(t, volume, node)
	var errs []error
	if d.Source.HasSynced() {
		errs = append(errs, errors.New("HasSynced is true before Run"))
	}
	if _, ok := d.Locator.Locate(volume); ok {
		errs = append(errs, errors.New("Locate answers before Run"))
	}
	if d.Health != nil {
		if _, ok := d.Health.NodeReport(volume.Provisioner, node); ok {
			errs = append(errs, errors.New("NodeReport answers before Run"))
		}
	}
	if d.Fencer != nil {
		f.Fence(t, volume, node, true)
		if _, ok := d.Fencer.Fenced(volume, node); ok {
			errs = append(errs, errors.New("Fenced answers before Run"))
		}
	}
	r, err := start(t, d)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	if d.Fencer != nil {
		if _, ok := d.Fencer.Fenced(volume, node); !ok {
			errs = append(errs, errors.New("HasSynced is true, but Fenced does not know a node that was fenced before Run"))
		}
	}
	if !r.isOn(volume, node) {
		errs = append(errs, errors.New("HasSynced is true, but Locate does not know a volume that existed before Run"))
	}
	return errors.Join(append(errs, r.stop())...)
}

func locates(t *testing.T, f Fixture) error {
	nodes := Nodes()
	r, err := start(t, f.Driver(t))
	if err != nil {
		return err
	}
	f.Place(t, f.Volume(0), nodes...)
	f.Place(t, f.Volume(1), nodes[0])
	errs := []error{
		eventually(t, "a volume on all nodes is located there", func() bool { return r.isOn(f.Volume(0), nodes...) }),
		eventually(t, "a volume on one node is located there", func() bool { return r.isOn(f.Volume(1), nodes[0]) }),
	}
	for _, unknown := range []drivers.VolumeID{
		{},
		f.Volume(2),
		{Provisioner: "other." + f.Volume(0).Provisioner, Handle: f.Volume(0).Handle},
		{Provisioner: f.Volume(0).Provisioner},
	} {
		if location, ok := r.Locator.Locate(unknown); ok {
			errs = append(errs, fmt.Errorf("Locate(%+v) is %+v, want no answer: there is no such volume", unknown, location))
		}
	}
	return errors.Join(append(errs, r.stop())...)
}

func follows(t *testing.T, f Fixture) error {
	nodes, volume := Nodes(), f.Volume(0)
	r, err := start(t, f.Driver(t))
	if err != nil {
		return err
	}
	f.Place(t, volume, nodes[0], nodes[1])
	errs := []error{eventually(t, "a volume is located", func() bool { return r.isOn(volume, nodes[0], nodes[1]) })}
	first, _ := r.Locator.Locate(volume)
	replicas := slices.Clone(first.Replicas)
	f.Place(t, volume, nodes[1], nodes[2])
	errs = append(errs, eventually(t, "a volume that moved is located where it is", func() bool { return r.isOn(volume, nodes[1], nodes[2]) }))
	if !slices.Equal(first.Replicas, replicas) {
		errs = append(errs, fmt.Errorf("an answer changed after it was given, from %v to %v", replicas, first.Replicas))
	}
	f.Remove(t, volume)
	errs = append(errs, eventually(t, "a volume that was removed is not located", func() bool {
		_, ok := r.Locator.Locate(volume)
		return !ok
	}))
	return errors.Join(append(errs, r.stop())...)
}

func tellsVolumes(t *testing.T, f Fixture) error {
	nodes, volume := Nodes(), f.Volume(0)
	r, err := start(t, f.Driver(t))
	if err != nil {
		return err
	}
	var errs []error
	for n, step := range []struct {
		what string
		do   func()
		want int
	}{
		{what: "placed", do: func() { f.Place(t, volume, nodes[0]) }, want: 1},
		{what: "written again as it is", do: func() { f.Place(t, volume, nodes[0]) }, want: 1},
		{what: "moved", do: func() { f.Place(t, volume, nodes[1]) }, want: 2},
		{what: "removed", do: func() { f.Remove(t, volume) }, want: 3},
	} {
		step.do()
		// What comes after, and has been told, shows that there is no more to come of what came before.
		after := f.Volume(n + 1)
		f.Place(t, after, nodes[2])
		errs = append(errs, eventually(t, fmt.Sprintf("after a volume is %s the change of another is told", step.what),
			func() bool { return r.told(drivers.Change{Volume: after}) > 0 }))
		if told := r.told(drivers.Change{Volume: volume}); told != step.want {
			errs = append(errs, fmt.Errorf("after a volume is %s, %d changes of it are told in all, want %d", step.what, told, step.want))
		}
	}
	if r.overlapped.Load() {
		errs = append(errs, errors.New("a change is told while another one is"))
	}
	return errors.Join(append(errs, r.stop())...)
}

func tellsNodes(t *testing.T, f Fixture) error {
	d := f.Driver(t)
	if d.Health == nil {
		return nil
	}
	provisioner, node, other := f.Volume(0).Provisioner, Nodes()[0], Nodes()[1]
	r, err := start(t, d)
	if err != nil {
		return err
	}
	var errs []error
	otherStates := []drivers.StorageState{drivers.Online, drivers.Offline}
	for n, state := range []drivers.StorageState{drivers.Online, drivers.Online, drivers.Offline} {
		f.Report(t, node, state)
		f.Report(t, other, otherStates[n%2])
		errs = append(errs,
			eventually(t, fmt.Sprintf("a node that is reported %s is %s", state, state), func() bool {
				report, ok := r.Health.NodeReport(provisioner, node)
				return ok && report.State == state
			}),
			eventually(t, "the change of another node is told", func() bool { return r.lastState(provisioner, other) == otherStates[n%2] }))
		if last := r.lastState(provisioner, node); last != state {
			errs = append(errs, fmt.Errorf("after report %d of a node, %s, the state last told of it is %s", n, state, last))
		}
	}
	for _, name := range []string{node, other} {
		if told := r.states(provisioner, name); len(slices.Compact(slices.Clone(told))) != len(told) {
			errs = append(errs, fmt.Errorf("the states told of %s are %v, want no change told that is none", name, told))
		}
	}
	if _, ok := r.Health.NodeReport(provisioner, "node-nowhere"); ok {
		errs = append(errs, errors.New("NodeReport answers for a node without storage"))
	}
	return errors.Join(append(errs, r.stop())...)
}
