// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"roost.dev/roost/apis/config"
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/plugins"
)

func on(node string) part { return part{provisioner: provisioner, node: node} }

// healthTests have one volume of one driver, which is registered everywhere.
var healthTests = map[string]struct {
	args         *config.StorageHealthArgs
	states       map[part]drivers.StorageState
	storageNodes map[part]plugins.StorageNode
	want         outcome
}{
	"nothing is known: every node is feasible and none loses anything": {},
	"Offline and Maintenance, as the storage system says": {
		states: map[part]drivers.StorageState{on("a"): drivers.Offline, on("b"): drivers.Maintenance},
		want: outcome{Rejected: map[string]string{
			"a": "node(s) whose csi.example.com storage is Offline", "b": "node(s) whose csi.example.com storage is in Maintenance",
		}},
	},
	"Online and Unknown lose nothing": {
		states: map[part]drivers.StorageState{on("a"): drivers.Online, on("b"): drivers.Unknown},
	},
	"Degraded and StorageDown serve, and lose points": {
		states: map[part]drivers.StorageState{on("a"): drivers.Degraded, on("b"): drivers.StorageDown},
		want:   outcome{Scores: []int64{50, 25, 100}},
	},
	"what another storage system says is no matter": {
		states:       map[part]drivers.StorageState{{other, "a"}: drivers.Offline, {other, "b"}: drivers.Degraded},
		storageNodes: map[part]plugins.StorageNode{{other, "c"}: {Maintenance: true}},
	},
	"an operator sets a StorageNode to maintenance": {
		storageNodes: map[part]plugins.StorageNode{on("a"): {Maintenance: true, State: storagev1alpha1.HealthHealthy}},
		want:         outcome{Rejected: map[string]string{"a": "node(s) whose csi.example.com StorageNode is set to maintenance"}},
	},
	"a verdict that the node is not to be used": {
		storageNodes: map[part]plugins.StorageNode{
			on("a"): {State: storagev1alpha1.HealthUnhealthy}, on("b"): {State: storagev1alpha1.HealthFailedOver}, on("c"): {State: storagev1alpha1.HealthRecovering},
		},
		want: outcome{Rejected: map[string]string{
			"a": "node(s) whose csi.example.com StorageNode is Unhealthy", "b": "node(s) whose csi.example.com StorageNode is FailedOver",
			"c": "node(s) whose csi.example.com StorageNode is Recovering",
		}},
	},
	"a verdict holds while the storage system is Online again": {
		states:       map[part]drivers.StorageState{on("a"): drivers.Online},
		storageNodes: map[part]plugins.StorageNode{on("a"): {State: storagev1alpha1.HealthRecovering}},
		want:         outcome{Rejected: map[string]string{"a": "node(s) whose csi.example.com StorageNode is Recovering"}},
	},
	"a verdict that the node is to be used, and none yet": {
		storageNodes: map[part]plugins.StorageNode{
			on("a"): {State: storagev1alpha1.HealthHealthy}, on("b"): {State: storagev1alpha1.HealthSuspect}, on("c"): {},
		},
		want: outcome{Scores: []int64{100, 60, 100}},
	},
	"the worse of a state and a suspicion counts": {
		states: map[part]drivers.StorageState{on("a"): drivers.StorageDown, on("b"): drivers.Degraded},
		storageNodes: map[part]plugins.StorageNode{
			on("a"): {State: storagev1alpha1.HealthSuspect}, on("c"): {State: storagev1alpha1.HealthSuspect},
		},
		want: outcome{Scores: []int64{25, 50, 60}},
	},
	"what only the controller manager hears counts too": {
		storageNodes: map[part]plugins.StorageNode{on("a"): {Storage: drivers.Offline}, on("b"): {Storage: drivers.Degraded}},
		want: outcome{
			Rejected: map[string]string{"a": "node(s) whose csi.example.com storage is Offline"},
			Scores:   []int64{50, 100},
		},
	},
	"what the scheduler's own drivers say goes before it": {
		states:       map[part]drivers.StorageState{on("a"): drivers.Online, on("b"): drivers.Online},
		storageNodes: map[part]plugins.StorageNode{on("a"): {Storage: drivers.Offline}, on("b"): {Storage: drivers.Degraded}},
	},
	"the penalties are the arguments'": {
		args:         &config.StorageHealthArgs{DegradedPenalty: 10, StorageDownPenalty: 100, SuspectPenalty: 0},
		states:       map[part]drivers.StorageState{on("a"): drivers.Degraded, on("b"): drivers.StorageDown},
		storageNodes: map[part]plugins.StorageNode{on("c"): {State: storagev1alpha1.HealthSuspect}},
		want:         outcome{Scores: []int64{90, 0, 100}},
	},
}

func TestHealthOfNodes(t *testing.T) {
	for name, tc := range healthTests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, world{
				args: tc.args, states: tc.states, storageNodes: tc.storageNodes,
				objects: slices.Concat(installed(provisioner, other), csi("data", provisioner)),
			})
			if diff := cmp.Diff(tc.want, f.attempt(newPod("db-0", "data"))); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

const waitForConsumer = storagev1.VolumeBindingWaitForFirstConsumer

// whyNotA is what keeps a pod with a volume of the driver off node a, whose storage is offline.
var whyNotA = map[string]string{"a": "node(s) whose csi.example.com storage is Offline"}

// volumeTests have every storage system offline on node a.
var volumeTests = map[string]struct {
	objects []runtime.Object
	pod     *corev1.Pod
	want    outcome
}{
	"no volume":                        {want: outcome{Skipped: true}},
	"a bound volume of the driver":     {objects: csi("data", provisioner), want: outcome{Rejected: whyNotA}},
	"a bound volume of another driver": {objects: csi("data", "unheard.example.com"), want: outcome{}},
	"a claim that is bound with the pod, of the driver's class": {
		objects: unbound("data", provisioner, waitForConsumer), want: outcome{Rejected: whyNotA},
	},
	"a claim that is bound with the pod, of a class without provisioner": {
		objects: unbound("data", "kubernetes.io/no-provisioner", waitForConsumer), want: outcome{Skipped: true},
	},
	"a claim that waits for its volume": {
		objects: unbound("data", provisioner, storagev1.VolumeBindingImmediate), want: outcome{Skipped: true},
	},
	"a claim that does not exist": {pod: newPod("db-0", "data"), want: outcome{Skipped: true}},
	"a local volume": {
		objects: bound("data", builders.MakePV("pv").Source(corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/x"}})),
		want:    outcome{Skipped: true},
	},
	"a hostPath volume": {
		objects: bound("data", builders.MakePV("pv").Source(corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}})),
		want:    outcome{Skipped: true},
	},
	"an NFS volume": {
		objects: bound("data", builders.MakePV("pv").Source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/x"}})),
		want:    outcome{Skipped: true},
	},
	"a volume of the driver beside a local one": {
		objects: slices.Concat(csi("data", provisioner),
			bound("more", builders.MakePV("pv").Source(corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/x"}}))),
		pod:  newPod("db-0", "more", "data"),
		want: outcome{Rejected: whyNotA},
	},
	"volumes of two drivers, and the worst of them on each node": {
		objects: slices.Concat(csi("data", provisioner), csi("more", other)),
		pod:     newPod("db-0", "data", "more"),
		want:    outcome{Rejected: whyNotA, Scores: []int64{50, 25}},
	},
}

func TestVolumesThatCount(t *testing.T) {
	states := map[part]drivers.StorageState{
		{"kubernetes.io/no-provisioner", "a"}: drivers.Offline, {drivers.LocalVolume, "a"}: drivers.Offline, {drivers.HostPath, "a"}: drivers.Offline,
		on("a"): drivers.Offline, on("b"): drivers.Degraded,
		{other, "a"}: drivers.Offline, {other, "b"}: drivers.Degraded, {other, "c"}: drivers.StorageDown,
	}
	for name, tc := range volumeTests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, world{states: states, objects: append(installed(provisioner, other), tc.objects...)})
			pod := tc.pod
			switch {
			case pod == nil && tc.objects == nil:
				pod = newPod("db-0")
			case pod == nil:
				pod = newPod("db-0", "data")
			}
			got := f.attempt(pod)
			if tc.want.Scores == nil {
				got.Scores = nil
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

const whyNotRegistered = "node(s) where the CSI driver csi.example.com is not registered"

// registrationTests have nodes a, b and c.
var registrationTests = map[string]struct {
	optional bool
	objects  []runtime.Object
	want     outcome
}{
	"the driver is on two of three nodes": {
		objects: slices.Concat(installed(provisioner)[:3], []runtime.Object{csiNode("c", other)}, csi("data", provisioner)),
		want:    outcome{Rejected: map[string]string{"c": whyNotRegistered}},
	},
	"a node without CSINode has no driver": {
		objects: append(installed(provisioner)[:3], csi("data", provisioner)...),
		want:    outcome{Rejected: map[string]string{"c": whyNotRegistered}},
	},
	"a claim that is bound with the pod needs the driver too": {
		objects: append(installed(provisioner)[:3], unbound("data", provisioner, waitForConsumer)...),
		want:    outcome{Rejected: map[string]string{"c": whyNotRegistered}},
	},
	"what has no CSIDriver object need not register": {objects: append(installed(provisioner)[1:3], csi("data", provisioner)...)},
	"a provisioner that is no CSI driver":            {objects: append(installed(provisioner), unbound("data", "nfs-provisioner", waitForConsumer)...)},
	"the arguments do not ask for it": {
		optional: true,
		objects:  append(installed(provisioner)[:3], csi("data", provisioner)...),
	},
}

func TestRegistration(t *testing.T) {
	for name, tc := range registrationTests {
		t.Run(name, func(t *testing.T) {
			args := defaultArgs()
			args.RequireRegistration = !tc.optional
			f := newFixture(t, world{args: args, objects: tc.objects})
			if diff := cmp.Diff(tc.want, f.attempt(newPod("db-0", "data"))); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// A generic ephemeral volume counts like any other.
func TestEphemeralVolumes(t *testing.T) {
	pod := st.MakePod().Name("db-0").UID("db-0").Namespace(builders.Namespace).Obj()
	pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	class := builders.MakeClass("fast", waitForConsumer)
	f := newFixture(t, world{
		states:  map[part]drivers.StorageState{on("a"): drivers.Offline},
		objects: append(installed(provisioner), class, builders.MakeClaim("db-0-scratch").Class("fast").OwnedBy(pod).Obj()),
	})
	if diff := cmp.Diff(outcome{Rejected: whyNotA}, f.attempt(pod)); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

// The scheduler lists a pod's reasons by their text: were it different on every node, an event would list every node.
func TestReasonsDoNotNameNodes(t *testing.T) {
	f := newFixture(t, world{
		states:  map[part]drivers.StorageState{on("a"): drivers.Offline, on("b"): drivers.Offline, on("c"): drivers.Offline},
		objects: append(installed(provisioner), csi("data", provisioner)...),
	})
	reasons := map[string]bool{}
	for _, reason := range f.attempt(newPod("db-0", "data")).Rejected {
		reasons[reason] = true
	}
	if len(reasons) != 1 {
		t.Errorf("three nodes have the reasons %v, want one", reasons)
	}
}

func TestArgsAreChecked(t *testing.T) {
	tests := map[string]struct {
		obj  runtime.Object
		want string
	}{
		"valid":                      {obj: defaultArgs()},
		"a penalty beyond the score": {obj: &config.StorageHealthArgs{DegradedPenalty: 101}, want: "StorageHealth: args.degradedPenalty: Invalid value: 101: must be 0 to 100"},
		"another plugin's":           {obj: &config.VolumeLocalityArgs{}, want: "StorageHealth: arguments are *config.VolumeLocalityArgs, want *StorageHealthArgs"},
		"none":                       {want: "StorageHealth: arguments are <nil>"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := argsOf(tc.obj)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestNothingIsAllocatedOnNodesThatAreWell(t *testing.T) {
	f, state, pod := prepared(t)
	filter := testing.AllocsPerRun(100, func() { f.pl.Filter(t.Context(), state, pod, f.nodes[1]) })
	score := testing.AllocsPerRun(100, func() { _, _ = f.pl.Score(t.Context(), state, pod, f.nodes[1]) })
	if filter != 0 || score != 0 {
		t.Errorf("Filter allocates %v times and Score %v, want 0", filter, score)
	}
}

// prepared is a pod that has passed PreFilter and PreScore, with storage that is Degraded on node a.
func prepared(t testing.TB) (*fixture, *framework.CycleState, *corev1.Pod) {
	f := newFixture(t, world{
		states:       map[part]drivers.StorageState{on("a"): drivers.Degraded, on("b"): drivers.Online},
		storageNodes: map[part]plugins.StorageNode{on("b"): {State: storagev1alpha1.HealthHealthy}},
		objects:      append(installed(provisioner), csi("data", provisioner)...),
	})
	state, pod := framework.NewCycleState(), newPod("db-0", "data")
	if _, status := f.pl.PreFilter(t.Context(), state, pod, f.nodes); !status.IsSuccess() {
		t.Fatalf("PreFilter: %v", status)
	}
	if status := f.pl.PreScore(t.Context(), state, pod, f.nodes); !status.IsSuccess() {
		t.Fatalf("PreScore: %v", status)
	}
	return f, state, pod
}

func BenchmarkPlugin(b *testing.B) {
	f, state, pod := prepared(b)
	ctx := b.Context()
	b.Run("PreFilter", func(b *testing.B) {
		b.ReportAllocs()
		scratch := framework.NewCycleState()
		for b.Loop() {
			f.pl.PreFilter(ctx, scratch, pod, f.nodes)
		}
	})
	b.Run("Filter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.pl.Filter(ctx, state, pod, f.nodes[1])
		}
	})
	b.Run("Score", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = f.pl.Score(ctx, state, pod, f.nodes[1])
		}
	})
}
