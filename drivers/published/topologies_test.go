// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

var volumeA = drivers.VolumeID{Provisioner: provisioner, Handle: "a"}

// recording is a driver that is fed by hand, and the changes it has told since the last call of take.
type recording struct {
	*Source
	t    *testing.T
	told []drivers.Change
}

func newRecording(t *testing.T, v *vendor) *recording {
	t.Helper()
	r := &recording{Source: v.newSource(t), t: t}
	r.Subscribe(func(change drivers.Change) { r.told = append(r.told, change) })
	return r
}

func (r *recording) take() []drivers.Change {
	told := r.told
	r.told = nil
	return told
}

func (r *recording) topology(object *storagev1alpha1.VolumeTopology) {
	r.putTopology(klog.Background(), object)
}

func (r *recording) report(object *storagev1alpha1.StorageReport) {
	r.putReport(klog.Background(), object)
}

func (r *recording) check(what string, want []drivers.Replica, wantTold []drivers.Change) {
	r.t.Helper()
	location, ok := r.Locate(volumeA)
	if diff := cmp.Diff(want, location.Replicas); diff != "" || ok != (want != nil) {
		r.t.Errorf("%s: Locate is %t, replicas (-want +got):\n%s", what, ok, diff)
	}
	if diff := cmp.Diff(wantTold, r.take()); diff != "" {
		r.t.Errorf("%s: changes (-want +got):\n%s", what, diff)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	v := newVendor()
	for name, options := range map[string]Options{
		"client": {Clock: v.clock},
		"clock":  {Client: v.api},
	} {
		if _, err := New(options); err == nil || err.Error() != name+" is missing" {
			t.Errorf("New without %s: error is %v, want it named", name, err)
		}
	}
}

func TestLocateReadsTheStatus(t *testing.T) {
	const inSync, rebuilding = storagev1alpha1.ReplicaInSync, storagev1alpha1.ReplicaRebuilding
	for name, tc := range map[string]struct {
		status storagev1alpha1.VolumeTopologyStatus
		want   drivers.Location
	}{
		"no status yet": {},
		"attached, but without replicas": {
			status: storagev1alpha1.VolumeTopologyStatus{AttachedNodes: []string{"node-a"}},
			want:   drivers.Location{AttachedTo: []string{"node-a"}},
		},
		"every state": {
			status: storagev1alpha1.VolumeTopologyStatus{Replicas: []storagev1alpha1.VolumeReplica{
				{NodeName: "d", State: storagev1alpha1.ReplicaFailed}, {NodeName: "c", State: storagev1alpha1.ReplicaStale},
				{NodeName: "b", State: rebuilding}, {NodeName: "a", State: inSync}, {NodeName: "e", State: "Thinking"},
			}},
			want: drivers.Location{Replicas: []drivers.Replica{
				{Node: "a", State: drivers.InSync}, {Node: "b", State: drivers.Rebuilding}, {Node: "c", State: drivers.Stale},
				{Node: "d", State: drivers.Failed}, {Node: "e", State: drivers.Failed},
			}},
		},
		"a node named twice has the worse state": {
			status: storagev1alpha1.VolumeTopologyStatus{Replicas: []storagev1alpha1.VolumeReplica{
				{NodeName: "a", State: inSync}, {NodeName: "b", State: rebuilding}, {NodeName: "a", State: rebuilding}, {NodeName: "b", State: inSync},
			}},
			want: drivers.Location{Replicas: []drivers.Replica{{Node: "a", State: drivers.Rebuilding}, {Node: "b", State: drivers.Rebuilding}}},
		},
		"attached to nodes, one of them named twice": {
			status: storagev1alpha1.VolumeTopologyStatus{
				Replicas: replicas(inSync, "a"), AttachedNodes: []string{"c", "b", "c"},
			},
			want: drivers.Location{Replicas: []drivers.Replica{{Node: "a"}}, AttachedTo: []string{"b", "c"}},
		},
		"a node that does not exist is kept": {
			status: storagev1alpha1.VolumeTopologyStatus{Replicas: replicas(inSync, "no-such-node")},
			want:   drivers.Location{Replicas: []drivers.Replica{{Node: "no-such-node"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecording(t, newVendor())
			object := newTopologyOf("topology", volumeA)
			object.Status = tc.status
			r.topology(object)
			location, ok := r.Locate(volumeA)
			tc.want.ObservedAt = neverConfirmed
			if diff := cmp.Diff(tc.want, location, cmpopts.EquateEmpty()); diff != "" || !ok {
				t.Errorf("Locate is %t, location (-want +got):\n%s", ok, diff)
			}
			if told := len(r.take()); told != 1 {
				t.Errorf("%d changes are told, want 1", told)
			}
		})
	}
}

func TestTopologyWithoutIdentityIsIgnored(t *testing.T) {
	r := newRecording(t, newVendor())
	for _, id := range []drivers.VolumeID{{}, {Provisioner: provisioner}, {Handle: "a"}} {
		r.topology(newTopologyOf("topology", id, replicas(storagev1alpha1.ReplicaInSync, "node-a")...))
		if _, ok := r.Locate(id); ok {
			t.Errorf("Locate(%+v) answers, want no answer", id)
		}
	}
	if diff := cmp.Diff([]drivers.Change(nil), r.take()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestSeveralTopologiesOfOneVolume(t *testing.T) {
	r := newRecording(t, newVendor())
	object := func(name string, age time.Duration, nodes ...string) *storagev1alpha1.VolumeTopology {
		o := newTopologyOf(name, volumeA, replicas(storagev1alpha1.ReplicaInSync, nodes...)...)
		o.CreationTimestamp = metav1.NewTime(today.Add(-age))
		return o
	}
	on := func(node string) []drivers.Replica { return []drivers.Replica{{Node: node}} }
	changed := []drivers.Change{{Volume: volumeA}}

	r.topology(object("m", time.Hour, "node-m"))
	r.check("the first one counts", on("node-m"), changed)
	r.topology(object("a", time.Minute, "node-a"))
	r.check("a younger one does not", on("node-m"), nil)
	r.topology(object("z", time.Hour, "node-z"))
	r.check("nor one of the same age and a later name", on("node-m"), nil)
	r.topology(object("z", time.Hour, "node-zz"))
	r.check("nor does it when it changes", on("node-m"), nil)
	r.topology(object("b", time.Hour, "node-b"))
	r.check("one of the same age and an earlier name counts", on("node-b"), changed)
	r.topology(object("b", time.Hour, "node-bb"))
	r.check("it does when it changes", on("node-bb"), changed)
	r.removeTopology("m")
	r.check("one that does not count goes", on("node-bb"), nil)
	r.removeTopology("b")
	r.check("the one that counts goes, the next counts", on("node-zz"), changed)
	r.removeTopology("z")
	r.check("and the youngest at last", on("node-a"), changed)
	r.removeTopology("a")
	r.check("until none is left", nil, changed)
	r.removeTopology("a")
	r.check("one that is not there goes", nil, nil)
	if names, keys := len(r.volumes.byName), len(r.volumes.byKey); names+keys != 0 {
		t.Errorf("%d names and %d volumes are kept, want none", names, keys)
	}
}

func TestTopologyThatNamesAnotherVolumeLeavesTheFirst(t *testing.T) {
	r := newRecording(t, newVendor())
	other := drivers.VolumeID{Provisioner: provisioner, Handle: "b"}
	r.topology(newTopologyOf("topology", volumeA, replicas(storagev1alpha1.ReplicaInSync, "node-a")...))
	r.check("the first volume", []drivers.Replica{{Node: "node-a"}}, []drivers.Change{{Volume: volumeA}})
	r.topology(newTopologyOf("topology", other, replicas(storagev1alpha1.ReplicaInSync, "node-a")...))
	r.check("made again for another one", nil, []drivers.Change{{Volume: volumeA}, {Volume: other}})
	if _, ok := r.Locate(other); !ok {
		t.Error("the other volume is not located")
	}
}

func TestSeveralTopologiesAreLoggedOnce(t *testing.T) {
	v := newVendor()
	v.Place(t, volumeA, "node-a")
	r := v.run(t)
	eventually(t, "HasSynced is true", r.HasSynced)
	for range 3 {
		v.api.Write(newTopologyOf("second", volumeA, replicas(storagev1alpha1.ReplicaInSync, "node-b")...))
	}
	v.Place(t, v.Volume(1), "node-a")
	eventually(t, "what came after is seen", func() bool { return r.knows(v.Volume(1)) })
	if lines := r.lines("Several VolumeTopologies"); lines != 1 {
		t.Errorf("%d lines say that two objects name one volume, want 1", lines)
	}
	if lines := r.lines(`"counts"="a" "added"="second"`); lines != 1 {
		t.Errorf("the line does not name the objects: %v", r.logged)
	}
}

func TestEqualNamesAreKeptOnce(t *testing.T) {
	r := newRecording(t, newVendor())
	name := func() string { return string(append([]byte("node-"), 'a')) }
	r.topology(newTopologyOf("one", volumeA, replicas(storagev1alpha1.ReplicaInSync, name())...))
	runtime.GC() // drops the copies of names that nothing keeps alive
	runtime.GC()
	r.topology(newTopologyOf("two", drivers.VolumeID{Provisioner: provisioner, Handle: "b"}, replicas(storagev1alpha1.ReplicaInSync, name())...))
	first, second := r.volumes.byName["one"].value, r.volumes.byName["two"].value
	if a, b := first.replicas[0].Node, second.replicas[0].Node; unsafe.StringData(a) != unsafe.StringData(b) {
		t.Errorf("%q is kept twice, want one copy for both volumes", a)
	}
}
