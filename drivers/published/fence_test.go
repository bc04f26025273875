// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

func newFencedTopology(name string, nodes ...string) *storagev1alpha1.VolumeTopology {
	object := newTopologyOf(name, volumeA, replicas(storagev1alpha1.ReplicaInSync, "node-a", "node-b")...)
	object.Status.FencedNodes = nodes
	return object
}

func TestFencedIsWhatTheTopologyNames(t *testing.T) {
	other := drivers.VolumeID{Provisioner: provisioner, Handle: "other"}
	for name, tc := range map[string]struct {
		volume drivers.VolumeID
		node   string
		want   bool
	}{
		"a node that is named":             {volume: volumeA, node: "node-a", want: true},
		"another one that is named":        {volume: volumeA, node: "node-c", want: true},
		"a node that is not named":         {volume: volumeA, node: "node-b"},
		"no node":                          {volume: volumeA},
		"a volume whose topology is other": {volume: other, node: "node-a"},
		"a volume without topology":        {volume: drivers.VolumeID{Provisioner: provisioner, Handle: "none"}, node: "node-a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecording(t, newVendor())
			r.topology(newFencedTopology("topology", "node-c", "node-a", "node-c"))
			r.topology(newTopologyOf("another", other, replicas(storagev1alpha1.ReplicaInSync, "node-a")...))
			r.report(newReport("node-b", storagev1alpha1.StorageOnline, today))
			want := drivers.Fence{}
			if tc.want {
				want = drivers.Fence{Message: "VolumeTopology topology names the node as fenced", ObservedAt: today}
			}
			got, ok := r.Fenced(tc.volume, tc.node)
			if diff := cmp.Diff(want, got); diff != "" || ok != tc.want {
				t.Errorf("Fenced is %t, want %t, proof (-want +got):\n%s", ok, tc.want, diff)
			}
		})
	}
}

func TestProofIsAsOldAsTheProvisionersNewestHeartbeat(t *testing.T) {
	v := newVendor()
	r := newRecording(t, v)
	r.topology(newFencedTopology("topology", "node-a"))
	for _, step := range []struct {
		what string
		do   func()
		want time.Time
	}{
		{what: "without any heartbeat", do: func() {}, want: neverConfirmed},
		{what: "after the first", do: func() { r.report(newReport("node-b", storagev1alpha1.StorageOnline, today)) }, want: today},
		{what: "a minute later", do: func() { v.clock.Step(time.Minute) }, want: today},
		{
			what: "after another node's",
			do:   func() { r.report(newReport("node-c", storagev1alpha1.StorageOnline, v.clock.Now())) },
			want: today.Add(time.Minute),
		},
	} {
		step.do()
		if fence, ok := r.Fenced(volumeA, "node-a"); !ok || !fence.ObservedAt.Equal(step.want) {
			t.Errorf("%s: Fenced is %t, observed at %s, want true, %s", step.what, ok, fence.ObservedAt, step.want)
		}
	}
}

func TestFencingIsToldAndTakenBack(t *testing.T) {
	r := newRecording(t, newVendor())
	r.topology(newFencedTopology("topology"))
	r.take()
	changed := []drivers.Change{{Volume: volumeA}}
	for _, step := range []struct {
		what   string
		nodes  []string
		want   bool
		wanted []drivers.Change
	}{
		{what: "fenced", nodes: []string{"node-a"}, want: true, wanted: changed},
		{what: "written again as it is", nodes: []string{"node-a"}, want: true},
		{what: "let in again", wanted: changed},
	} {
		r.topology(newFencedTopology("topology", step.nodes...))
		if _, ok := r.Fenced(volumeA, "node-a"); ok != step.want {
			t.Errorf("%s: Fenced is %t, want %t", step.what, ok, step.want)
		}
		if diff := cmp.Diff(step.wanted, r.take()); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", step.what, diff)
		}
	}
	r.topology(newFencedTopology("topology", "node-a"))
	r.removeTopology("topology")
	if _, ok := r.Fenced(volumeA, "node-a"); ok {
		t.Error("a node is fenced after the VolumeTopology is gone, want no proof")
	}
}

func TestYoungerTopologyProvesNothing(t *testing.T) {
	r := newRecording(t, newVendor())
	younger := newFencedTopology("a-younger", "node-a")
	younger.CreationTimestamp = metav1.NewTime(today.Add(time.Hour))
	r.topology(newFencedTopology("topology"))
	r.topology(younger)
	if _, ok := r.Fenced(volumeA, "node-a"); ok {
		t.Error("a VolumeTopology that does not count for the volume is proof, want none")
	}
}
