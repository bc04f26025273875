// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2/textlogger"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/volumelocality"
)

var testEpoch = time.Unix(1_700_000_000, 0)

var everyNode = []string{"a1", "a2", "b1", "b2", "c1", "c2"}

var (
	onA1       = map[string]drivers.Location{"handle-of-data": inSync("a1")}
	nearA1     = []int64{100, 50, 25, 25, 0, 0}
	awayFromA1 = []int64{0, 50, 75, 75, 100, 100}
	dataPV     = builders.MakePV("pv-data").CSI(provisioner, "handle-of-data").ClaimedBy("data").Obj()
)

// class is a StorageClass with a policy.
func class(policy string) *storagev1.StorageClass {
	c := builders.MakeClass("fast", storagev1.VolumeBindingImmediate)
	c.Annotations = map[string]string{volumelocality.PolicyAnnotation: policy}
	return c
}

var attemptTests = map[string]struct {
	pod       *corev1.Pod
	args      func(*config.VolumeLocalityArgs)
	objects   []runtime.Object
	locations map[string]drivers.Location
	states    map[string]drivers.StorageState
	want      outcome
}{
	"no volumes": {
		pod: podUsing(), want: outcome{Code: fwk.Skip},
	},
	"Preferred by default": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: onA1,
		want: outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"the score alone": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: onA1,
		args: func(args *config.VolumeLocalityArgs) { args.DataNodesFirst = false },
		want: outcome{Allowed: everyNode, Scores: nearA1},
	},
	"Required on the pod": {
		pod: annotated(podUsing("data"), "Required"), objects: claimAndPV("data"), locations: onA1,
		want: outcome{Nodes: []string{"a1"}, Allowed: []string{"a1"}, Scores: nearA1},
	},
	"Required with the score alone": {
		pod: annotated(podUsing("data"), "Required"), objects: claimAndPV("data"), locations: onA1,
		args: func(args *config.VolumeLocalityArgs) { args.DataNodesFirst = false },
		want: outcome{Nodes: []string{"a1"}, Allowed: []string{"a1"}, Scores: nearA1},
	},
	"Avoid on the claim": {
		pod: podUsing("data"), locations: onA1,
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv-data").Annotation("roost.dev/locality", "Avoid").Obj(), dataPV},
		want:    outcome{Allowed: everyNode, Scores: awayFromA1},
	},
	"Avoid on the StorageClass": {
		pod: podUsing("data"), locations: onA1,
		objects: []runtime.Object{builders.MakeClaim("data").Class("fast").BoundTo("pv-data").Obj(), dataPV, class("Avoid")},
		want:    outcome{Allowed: everyNode, Scores: awayFromA1},
	},
	"the pod's word counts before the claim's, and the claim's before the StorageClass's": {
		pod: annotated(podUsing("data"), "Preferred"), locations: onA1,
		objects: []runtime.Object{builders.MakeClaim("data").Class("fast").BoundTo("pv-data").Annotation("roost.dev/locality", "Avoid").Obj(), dataPV, class("Ignored")},
		want:    outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"Avoid by the arguments": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: onA1,
		args: func(args *config.VolumeLocalityArgs) { args.DefaultPolicy = config.LocalityAvoid },
		want: outcome{Allowed: everyNode, Scores: awayFromA1},
	},
	"Ignored": {
		pod: annotated(podUsing("data"), "Ignored"), objects: claimAndPV("data"), locations: onA1,
		want: outcome{Code: fwk.Skip},
	},
	"an unknown policy is Preferred": {
		pod: annotated(podUsing("data"), "Sometimes"), objects: claimAndPV("data"), locations: onA1,
		want: outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"a volume that the storage system does not know": {
		pod: podUsing("data"), objects: claimAndPV("data"),
		want: outcome{Code: fwk.Skip},
	},
	"Required, and the storage system does not know": {
		pod: annotated(podUsing("data"), "Required"), objects: claimAndPV("data"),
		want: outcome{Code: fwk.UnschedulableAndUnresolvable, Reasons: []string{ErrReasonNotKnown}},
	},
	"Required, and no replica is in sync": {
		pod: annotated(podUsing("data"), "Required"), objects: claimAndPV("data"),
		locations: map[string]drivers.Location{"handle-of-data": {Replicas: []drivers.Replica{{Node: "a1", State: drivers.Rebuilding}}}},
		want:      outcome{Code: fwk.UnschedulableAndUnresolvable, Reasons: []string{ErrReasonNoDataNode}},
	},
	"Required, and the data is on a node that does not exist": {
		pod: annotated(podUsing("data"), "Required"), objects: claimAndPV("data"),
		locations: map[string]drivers.Location{"handle-of-data": inSync("gone")},
		want:      outcome{Code: fwk.UnschedulableAndUnresolvable, Reasons: []string{ErrReasonNoSuchNode}},
	},
	"Preferred, and the data is on a node that does not exist": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: map[string]drivers.Location{"handle-of-data": inSync("gone")},
		want: outcome{Allowed: everyNode, Scores: make([]int64, 6)},
	},
	"a claim whose StorageClass is gone": {
		pod: podUsing("data"), locations: onA1,
		objects: []runtime.Object{builders.MakeClaim("data").Class("gone").BoundTo("pv-data").Obj(), dataPV},
		want:    outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: nearA1},
	},
	"Required does not count for a kind of volume that is nowhere near or far": {
		pod: annotated(podUsing("data", "nfs"), "Required"), locations: onA1,
		objects: append(claimAndPV("data"), builders.MakeClaim("nfs").BoundTo("pv-nfs").Obj(), builders.MakePV("pv-nfs").ClaimedBy("nfs").
			Source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer", Path: "/"}}).Obj()),
		want: outcome{Nodes: []string{"a1"}, Allowed: []string{"a1"}, Scores: nearA1},
	},
	"a PersistentVolume without node affinity and without CSI source": {
		pod: podUsing("data"), locations: onA1,
		objects: []runtime.Object{builders.MakeClaim("data").BoundTo("pv-data").Obj(), builders.MakePV("pv-data").ClaimedBy("data").
			Source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer", Path: "/"}}).Obj()},
		want: outcome{Code: fwk.Skip},
	},
	"a claim that is missing is for the in-tree plugins": {
		pod: podUsing("data"), want: outcome{Code: fwk.Skip},
	},
	"an unbound claim has no data yet, also where it is Required": {
		pod: annotated(podUsing("data"), "Required"), objects: []runtime.Object{builders.MakeClaim("data").Obj()},
		want: outcome{Code: fwk.Skip},
	},
	"a large volume counts more by capacity": {
		pod:  podUsing("data", "log"),
		args: func(args *config.VolumeLocalityArgs) { args.VolumeWeighting = config.VolumeWeightingCapacity },
		objects: append(claimAndPV("log"), builders.MakeClaim("data").BoundTo("pv-data").Obj(),
			builders.MakePV("pv-data").CSI(provisioner, "handle-of-data").ClaimedBy("data").Capacity("3Gi").Obj()),
		locations: map[string]drivers.Location{"handle-of-data": inSync("a1"), "handle-of-log": inSync("c1")},
		want:      outcome{Nodes: []string{"a1", "c1"}, Allowed: everyNode, Scores: []int64{75, 37, 18, 18, 25, 12}},
	},
	"a degraded data node is tried, one that is down is not, and draws nobody near": {
		pod: podUsing("data"), objects: claimAndPV("data"), locations: map[string]drivers.Location{"handle-of-data": inSync("a1", "c1")},
		states: map[string]drivers.StorageState{"a1": drivers.Degraded, "c1": drivers.StorageDown},
		want:   outcome{Nodes: []string{"a1"}, Allowed: everyNode, Scores: []int64{100, 50, 25, 25, 100, 0}},
	},
}

func TestAttempt(t *testing.T) {
	for name, tc := range attemptTests {
		t.Run(name, func(t *testing.T) {
			args := defaultArgs()
			if tc.args != nil {
				tc.args(args)
			}
			f := newFixture(t, world{args: args, nodes: sixNodes(), objects: tc.objects, driver: &memory{locations: tc.locations, states: tc.states}})
			got, _ := f.attempt(tc.pod)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// failed are the statuses of an attempt in which the nodes in play lack CPU.
func failed(nodes []string) *framework.NodeToStatus {
	absent := fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't satisfy plugin(s) [VolumeLocality]")
	statuses := map[string]*fwk.Status{}
	for _, n := range nodes {
		statuses[n] = fwk.NewStatus(fwk.Unschedulable, "Insufficient cpu").WithPlugin("NodeResourcesFit")
	}
	return framework.NewNodeToStatus(statuses, absent)
}

func TestPostFilterWidensUntilAllNodes(t *testing.T) {
	f := newFixture(t, dataOnA1())
	pod := podUsing("data")
	// Two rounds: when all nodes have failed, the next wake-up begins with the data nodes again.
	for round := range 2 {
		for i, want := range [][]string{{"a1"}, {"a1", "a2", "b1", "b2"}, nil} {
			got, state := f.attempt(pod)
			if diff := cmp.Diff(want, got.Nodes); diff != "" {
				t.Fatalf("round %d, attempt %d: nodes (-want +got):\n%s", round, i, diff)
			}
			f.activator.activated = nil
			_, status := f.pl.PostFilter(t.Context(), state, pod, failed(got.Nodes))
			wantCode, wantActivated := fwk.UnschedulableAndUnresolvable, []string{"db-0"}
			if want == nil {
				wantCode, wantActivated = fwk.Unschedulable, nil
			}
			if status.Code() != wantCode {
				t.Errorf("round %d, attempt %d: code = %s, want %s", round, i, status.Code(), wantCode)
			}
			if diff := cmp.Diff(wantActivated, f.activator.activated); diff != "" {
				t.Errorf("round %d, attempt %d: activated (-want +got):\n%s", round, i, diff)
			}
		}
	}
}

// dataOnA1 is a pod in the cluster, whose volume has its data on a1.
func dataOnA1() world {
	return world{
		nodes: sixNodes(), objects: append(claimAndPV("data"), podUsing("data")),
		driver: &memory{locations: map[string]drivers.Location{"handle-of-data": inSync("a1")}},
	}
}

func TestPostFilterGoesToAllNodesAtOnceForAPodThatOthersHold(t *testing.T) {
	f := newFixture(t, dataOnA1())
	pod := podUsing("data")
	_, state := f.attempt(pod)
	// What the framework makes of two PreFilters without a node in common.
	simultaneously := fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't satisfy plugin(s) [NodeAffinity VolumeLocality] simultaneously")
	f.pl.PostFilter(t.Context(), state, pod, framework.NewNodeToStatus(nil, simultaneously))
	if got, _ := f.attempt(pod); got.Nodes != nil {
		t.Errorf("nodes = %v, want all", got.Nodes)
	}
}

func TestPostFilterForgetsAPodThatWasDeletedMeanwhile(t *testing.T) {
	tests := map[string]*corev1.Pod{"gone": nil, "another of its name": podUsing("data")}
	for name, inCluster := range tests {
		t.Run(name, func(t *testing.T) {
			w := dataOnA1()
			w.objects = claimAndPV("data")
			if inCluster != nil {
				inCluster.UID = "another"
				w.objects = append(w.objects, inCluster)
			}
			f := newFixture(t, w)
			pod := podUsing("data")
			_, state := f.attempt(pod)
			f.pl.PostFilter(t.Context(), state, pod, failed([]string{"a1"}))
			if got := f.pl.levels.of(pod.UID); got != volumelocality.LevelData {
				t.Errorf("level = %d, want it forgotten", got)
			}
		})
	}
}

// TestNobodyIsPreemptedOnlyToBeLocal takes the guard's condition away: where preemption would be asked first, the plugin
// leaves the nodes alone and only scores.
func TestNobodyIsPreemptedOnlyToBeLocal(t *testing.T) {
	f := newFixture(t, world{
		nodes: sixNodes(), objects: claimAndPV("data"), preemptsFirst: true,
		driver: &memory{locations: map[string]drivers.Location{"handle-of-data": inSync("a1")}},
	})
	got, _ := f.attempt(podUsing("data"))
	want := outcome{Allowed: everyNode, Scores: []int64{100, 50, 25, 25, 0, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestANegativeWeightIsLogged(t *testing.T) {
	for weight, want := range map[int32]bool{-15: true, 15: false} {
		f := newFixture(t, world{weight: weight, driver: &memory{}})
		var log bytes.Buffer
		logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))
		f.pl.checkProfile(logger)
		if got := strings.Contains(log.String(), "negative weight") && strings.Contains(log.String(), "weight=-15"); got != want {
			t.Errorf("weight %d: logged %q, want a complaint: %t", weight, log.String(), want)
		}
	}
}

func TestPostFilterLeavesOthersAlone(t *testing.T) {
	located := &memory{locations: map[string]drivers.Location{"handle-of-data": inSync("a1")}}
	tests := map[string]struct {
		pod      *corev1.Pod
		statuses *framework.NodeToStatus
		wantCode fwk.Code
		want     []string
	}{
		"a pod without volumes": {wantCode: fwk.Unschedulable, pod: podUsing(), statuses: failed(everyNode)},
		"a pod that another plugin rejects as a whole": {
			pod: podUsing("data"), wantCode: fwk.Unschedulable,
			statuses: framework.NewNodeToStatus(nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "claim not found").WithPlugin("VolumeBinding")),
		},
		"a pod with Required volumes is told what its data nodes lack": {
			pod: annotated(podUsing("data"), "Required"), statuses: failed([]string{"a1"}),
			// The evictor has looked at the data nodes.
			wantCode: fwk.UnschedulableAndUnresolvable,
			want:     []string{"volume locality is Required, and of the 1 node(s) with the data: 1 Insufficient cpu"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, world{nodes: sixNodes(), objects: append(claimAndPV("data"), tc.pod), driver: located})
			_, state := f.attempt(tc.pod)
			_, status := f.pl.PostFilter(t.Context(), state, tc.pod, tc.statuses)
			if status.Code() != tc.wantCode {
				t.Errorf("code = %s, want %s: after Unschedulable the plugins after it are asked", status.Code(), tc.wantCode)
			}
			if diff := cmp.Diff(tc.want, status.Reasons()); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if len(f.activator.activated) > 0 {
				t.Errorf("activated %v, want none", f.activator.activated)
			}
		})
	}
}

func TestLevelsAreForgotten(t *testing.T) {
	tests := map[string]func(*fixture, fwk.CycleState, *corev1.Pod){
		"after binding": func(f *fixture, state fwk.CycleState, pod *corev1.Pod) {
			f.pl.PostBind(t.Context(), state, pod, "a2")
		},
		"when the pod does not get the node that it found": func(f *fixture, state fwk.CycleState, pod *corev1.Pod) {
			f.pl.Unreserve(t.Context(), state, pod, "a2")
		},
		"when another plugin rejects the pod as a whole": func(f *fixture, state fwk.CycleState, pod *corev1.Pod) {
			gone := fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "claim not found").WithPlugin("VolumeBinding")
			f.pl.PostFilter(t.Context(), state, pod, framework.NewNodeToStatus(nil, gone))
		},
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, dataOnA1())
			pod := podUsing("data")
			_, state := f.attempt(pod)
			f.pl.PostFilter(t.Context(), state, pod, failed([]string{"a1"}))
			if got := f.pl.levels.of(pod.UID); got != volumelocality.LevelNear {
				t.Fatalf("level after an attempt that failed = %d, want %d", got, volumelocality.LevelNear)
			}
			happens(f, state, pod)
			if got := f.pl.levels.of(pod.UID); got != volumelocality.LevelData {
				t.Errorf("level = %d, want %d", got, volumelocality.LevelData)
			}
		})
	}
}

func TestAPodOfAGroupKeepsItsLevelUntilTheGroupIsPlaced(t *testing.T) {
	f := newFixture(t, dataOnA1())
	pod := podUsing("data")
	pod.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{}
	_, state := f.attempt(pod)
	f.pl.PostFilter(t.Context(), state, pod, failed([]string{"a1"}))
	f.pl.Unreserve(t.Context(), state, pod, "a2")
	if got := f.pl.levels.of(pod.UID); got != volumelocality.LevelNear {
		t.Errorf("level after another pod of the group found no node = %d, want %d", got, volumelocality.LevelNear)
	}
	f.pl.PostBind(t.Context(), state, pod, "a2")
	if got := f.pl.levels.of(pod.UID); got != volumelocality.LevelData {
		t.Errorf("level after binding = %d, want %d", got, volumelocality.LevelData)
	}
}

func TestABadPolicyIsToldAfterBinding(t *testing.T) {
	f := newFixture(t, world{nodes: sixNodes(), objects: claimAndPV("data"), driver: &memory{}})
	pod := annotated(podUsing("data"), "Sometimes")
	_, state := f.attempt(pod)
	f.pl.PostBind(t.Context(), state, pod, "a1")
	want := `Warning UnknownLocalityPolicy Pod "db-0": annotation roost.dev/locality: unsupported value "Sometimes": must be Preferred, Required, Avoid or Ignored; treated as Preferred`
	select {
	case got := <-f.events.Events:
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	default:
		t.Error("no event")
	}
}

func TestBadArgumentsAreRefusedBeforeAnythingStarts(t *testing.T) {
	tests := map[string]struct {
		args runtime.Object
		want string
	}{
		"another plugin's arguments": {args: &schedulerconfig.NodeAffinityArgs{}, want: "NodeAffinityArgs, want *VolumeLocalityArgs"},
		"an unknown policy":          {args: &config.VolumeLocalityArgs{DefaultPolicy: "Sometimes"}, want: `args.defaultPolicy: Unsupported value: "Sometimes"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewFactory(nil, nil, nil)(t.Context(), tc.args, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}

// TestTiersFit holds two limits together that live in packages which may not import each other.
func TestTiersFit(t *testing.T) {
	args := defaultArgs()
	args.Topology = nil
	for i := range volumelocality.MaxTiers {
		args.Topology = append(args.Topology, config.TopologyTier{Label: "tier-" + string(rune('a'+i)), Weight: int32(90 - i)})
	}
	if _, err := argsOf(args); err != nil {
		t.Errorf("%d tiers are refused: %v", len(args.Topology), err)
	}
	args.Topology = append(args.Topology, config.TopologyTier{Label: "tier-z", Weight: 1})
	if _, err := argsOf(args); err == nil {
		t.Errorf("%d tiers are accepted, but a plan can tell only %d apart", len(args.Topology), volumelocality.MaxTiers)
	}
}
