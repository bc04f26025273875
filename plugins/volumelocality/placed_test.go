// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-base/metrics/legacyregistry"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// told are the events that the plugin has sent since it was last asked.
func (f *fixture) told() []string {
	var told []string
	for {
		select {
		case event := <-f.events.Events:
			told = append(told, event)
		default:
			return told
		}
	}
}

// counted is the metric's value by driver and locality.
func counted(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatalf("gathering metrics: %v", err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "roost_scheduler_placements_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			var key string
			for _, label := range metric.GetLabel() {
				key += label.GetName() + "=" + label.GetValue() + " "
			}
			counts[key] = metric.GetCounter().GetValue()
		}
	}
	return counts
}

// since are the counts that went up.
func since(before, after map[string]float64) map[string]float64 {
	grown := map[string]float64{}
	for key, count := range after {
		if grew := count - before[key]; grew > 0 {
			grown[key] = grew
		}
	}
	return grown
}

var placedTests = map[string]struct {
	pod       *corev1.Pod
	args      func(*config.VolumeLocalityArgs)
	objects   []runtime.Object
	locations map[string]drivers.Location
	states    map[string]drivers.StorageState
	// node is where the pod is bound, a2 where it is empty.
	node        string
	want        []string
	wantCounted map[string]float64
}{
	"a pod without volumes": {pod: podUsing()},
	"a pod whose only volume is Ignored": {
		pod: annotated(podUsing("data"), "Ignored"), objects: claimAndPV("data"), locations: onA1,
	},
	"a pod whose only volume no driver knows is told nothing, and counted": {
		pod: podUsing("data"), objects: claimAndPV("data"), wantCounted: map[string]float64{"driver=none locality=unknown ": 1},
	},
	"a pod whose only volume is of a kind that is nowhere": {
		pod: podUsing("nfs"),
		objects: []runtime.Object{builders.MakeClaim("nfs").BoundTo("pv-nfs").Obj(), builders.MakePV("pv-nfs").ClaimedBy("nfs").
			Source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer", Path: "/"}}).Obj()},
	},
	"a claim that is not bound yet has no data": {
		pod: podUsing("data"), objects: []runtime.Object{builders.MakeClaim("data").Obj()},
	},
	"local": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: onA1, node: "a1",
		want:        []string{"Normal VolumesLocal 1/1 volumes local on a1"},
		wantCounted: map[string]float64{"driver=memory locality=local ": 1},
	},
	"partly local, and no node has all": {
		pod: podUsing("data", "log"), objects: append(claimAndPV("data"), claimAndPV("log")...), node: "a1",
		locations:   map[string]drivers.Location{"handle-of-data": inSync("a1"), "handle-of-log": inSync("c1")},
		want:        []string{`Warning VolumesNotLocal 1/2 volumes local on a1; no node has all of them; "log" is on c1`},
		wantCounted: map[string]float64{"driver=memory locality=local ": 1, "driver=memory locality=remote ": 1},
	},
	"near, where the profile leaves it to the score": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: onA1,
		args:        func(args *config.VolumeLocalityArgs) { args.DataNodesFirst = false },
		want:        []string{`Warning VolumesNotLocal 0/1 volumes local on a2; the profile does not try data nodes first; "data" is on a1 (same topology.kubernetes.io/rack)`},
		wantCounted: map[string]float64{"driver=memory locality=near ": 1},
	},
	"the storage of its data node is down": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: onA1, states: map[string]drivers.StorageState{"a1": drivers.StorageDown},
		want:        []string{`Warning VolumesNotLocal 0/1 volumes local on a2; "data" is on a1 (StorageDown)`},
		wantCounted: map[string]float64{"driver=memory locality=remote ": 1},
	},
	"replicas on nodes that were deleted": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: map[string]drivers.Location{"handle-of-data": inSync("gone", "away")},
		want:        []string{`Warning VolumesNotLocal 0/1 volumes local on a2; "data" is on gone (no such node), away (no such node)`},
		wantCounted: map[string]float64{"driver=memory locality=remote ": 1},
	},
	"Avoid, on a replica": {
		pod: annotated(podUsing("data"), "Avoid"), objects: claimAndPV("data"), locations: onA1, node: "a1",
		want:        []string{`Warning VolumesNotApart 0/1 volumes apart from their data on a1; "data" has a replica there, and its locality is Avoid`},
		wantCounted: map[string]float64{"driver=memory locality=local ": 1},
	},
	"Avoid, far from it": {
		pod: annotated(podUsing("data"), "Avoid"), objects: claimAndPV("data"), locations: onA1, node: "c1",
		want:        []string{"Normal VolumesApart 1/1 volumes apart from their data on c1"},
		wantCounted: map[string]float64{"driver=memory locality=remote ": 1},
	},
}

func TestWhatAPodGot(t *testing.T) {
	for name, tc := range placedTests {
		t.Run(name, func(t *testing.T) {
			args := defaultArgs()
			if tc.args != nil {
				tc.args(args)
			}
			f := newFixture(t, world{args: args, nodes: sixNodes(), objects: tc.objects, driver: &memory{locations: tc.locations, states: tc.states}})
			node := "a2"
			if tc.node != "" {
				node = tc.node
			}
			before := counted(t)
			_, state := f.attempt(tc.pod)
			f.pl.PostBind(t.Context(), state, tc.pod, node)
			if diff := cmp.Diff(tc.want, f.told()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			wantCounted := tc.wantCounted
			if wantCounted == nil {
				wantCounted = map[string]float64{}
			}
			if diff := cmp.Diff(wantCounted, since(before, counted(t))); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVolumesToBeMadeAreNotTold: what such a volume has for a location is its source's.
func TestVolumesToBeMadeAreNotTold(t *testing.T) {
	f := newFixture(t, dataOnA1())
	pod := podUsing("data")
	_, state := f.attempt(pod)
	s, _ := readState(state)
	s.origins[0].isSource = true
	before := counted(t)
	f.pl.PostBind(t.Context(), state, pod, "a2")
	if told := f.told(); len(told) > 0 {
		t.Errorf("events = %v, want none", told)
	}
	if grown := since(before, counted(t)); len(grown) > 0 {
		t.Errorf("counted %v, want nothing", grown)
	}
}

func TestWhatTheDataNodesLackedIsToldOnce(t *testing.T) {
	const tried = "the data nodes were tried first (1 Insufficient cpu), then "
	tests := map[string]struct {
		failures int
		node     string
		want     []string
	}{
		"the first attempt failed": {failures: 1, node: "b1", want: []string{
			`Warning VolumesNotLocal 0/1 volumes local on b1; ` + tried + `nodes near them; "data" is on a1 (same topology.kubernetes.io/zone)`,
			`Warning VolumesNotLocal 0/1 volumes local on b1; "data" is on a1 (same topology.kubernetes.io/zone)`,
		}},
		// What fails the second is not about the data nodes.
		"so did the second": {failures: 2, node: "c1", want: []string{
			`Warning VolumesNotLocal 0/1 volumes local on c1; ` + tried + `all nodes; "data" is on a1`,
			`Warning VolumesNotLocal 0/1 volumes local on c1; "data" is on a1`,
		}},
		"a data node has room again": {failures: 3, node: "a1", want: []string{
			"Normal VolumesLocal 1/1 volumes local on a1", "Normal VolumesLocal 1/1 volumes local on a1",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, dataOnA1())
			pod := podUsing("data")
			for range tc.failures {
				got, state := f.attempt(pod)
				f.pl.PostFilter(t.Context(), state, pod, failed(got.Nodes))
			}
			_, state := f.attempt(pod)
			f.pl.PostBind(t.Context(), state, pod, tc.node)
			// What was known of the pod is forgotten by then.
			f.pl.PostBind(t.Context(), state, pod, tc.node)
			if diff := cmp.Diff(tc.want, f.told()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheDataNodesLackedIsForgottenWithAPodThatWasDeletedMeanwhile(t *testing.T) {
	w := dataOnA1()
	w.objects = claimAndPV("data")
	f := newFixture(t, w)
	pod := podUsing("data")
	got, state := f.attempt(pod)
	f.pl.PostFilter(t.Context(), state, pod, failed(got.Nodes))
	if len(f.pl.notes.byPod) > 0 {
		t.Errorf("notes = %v, want none", f.pl.notes.byPod)
	}
}

// TestFiftyReplicas places a pod whose volume has more replicas than most clusters have nodes.
func TestFiftyReplicas(t *testing.T) {
	var nodes []*corev1.Node
	var replicas []string
	for i := range 60 {
		name := fmt.Sprintf("node-%02d", i)
		nodes = append(nodes, st.MakeNode().Name(name).Obj())
		if i < 50 {
			replicas = append(replicas, name)
		}
	}
	f := newFixture(t, world{
		nodes: nodes, objects: append(claimAndPV("data"), podUsing("data")),
		driver: &memory{locations: map[string]drivers.Location{"handle-of-data": inSync(replicas...)}},
	})
	pod := podUsing("data")
	got, state := f.attempt(pod)
	if diff := cmp.Diff(replicas, got.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	for i, score := range got.Scores {
		if want := int64(100); i < 50 && score != want || i >= 50 && score != 0 {
			t.Errorf("score of node %d = %d, want %d for the first 50, 0 for the others", i, score, want)
		}
	}
	f.pl.PostFilter(t.Context(), state, pod, failed(replicas))
	_, state = f.attempt(pod)
	f.pl.PostBind(t.Context(), state, pod, "node-59")
	want := []string{`Warning VolumesNotLocal 0/1 volumes local on node-59; the data nodes were tried first (50 Insufficient cpu), then all nodes; ` +
		`"data" is on node-00, node-01, node-02 and 47 more nodes`}
	if diff := cmp.Diff(want, f.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// silent is a driver that knows volumes, and has not heard of them for too long: it has not read what there is.
type silent struct{ *memory }

func (silent) HasSynced() bool { return false }

func TestASilentDriverIsTold(t *testing.T) {
	f := newFixture(t, world{nodes: sixNodes(), objects: claimAndPV("data"), driver: &memory{}})
	driver := silent{&memory{}}
	if err := f.pl.registry.Add(drivers.Driver{Name: "silent", Source: driver, Locator: driver}); err != nil {
		t.Fatalf("adding the driver: %v", err)
	}
	pod, before := podUsing("data"), counted(t)
	_, state := f.attempt(pod)
	f.pl.PostBind(t.Context(), state, pod, "a1")
	want := []string{`Warning VolumesNotLocal 0/1 volumes local on a1; the driver silent has not heard for too long where "data" is`}
	if diff := cmp.Diff(want, f.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{"driver=silent locality=unknown ": 1}, since(before, counted(t))); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// TestSeveralProfilesShareTheMetric would panic where each registers one.
func TestSeveralProfilesShareTheMetric(t *testing.T) {
	for range 2 {
		f := newFixture(t, dataOnA1())
		if _, status := f.pl.PreFilter(t.Context(), framework.NewCycleState(), podUsing("data"), f.nodes); status.Code() != fwk.Success {
			t.Fatalf("PreFilter: %v", status)
		}
	}
}
