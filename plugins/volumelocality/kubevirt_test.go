// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	"k8s.io/utils/ptr"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// launcher is the pod of a virtual machine; with a migration it is the target of that one.
func launcher(name, migration string, claims ...string) *corev1.Pod {
	pod := podUsing(claims...)
	pod.Name, pod.UID = name, types.UID(name)
	pod.Labels = map[string]string{"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "machine"}
	if migration != "" {
		pod.Labels["kubevirt.io/migrationJobUID"] = migration
	}
	return pod
}

// running puts a pod on a node, as old as the hour says.
func running(pod *corev1.Pod, node string, hour int) *corev1.Pod {
	pod.Spec.NodeName, pod.Status.Phase = node, corev1.PodRunning
	pod.CreationTimestamp = metav1.NewTime(testEpoch.Add(time.Duration(hour) * time.Hour))
	return pod
}

// holding is the pod that holds the disks which were hotplugged into the virtual machine of another pod.
func holding(owner *corev1.Pod, claims ...string) *corev1.Pod {
	pod := podUsing(claims...)
	pod.Name, pod.UID = "hp-volume-"+owner.Name, types.UID("hp-volume-"+owner.Name)
	pod.Labels = map[string]string{"kubevirt.io": "hotplug-disk"}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: owner.Name, UID: owner.UID, Controller: ptr.To(true)}}
	return pod
}

// The disk is on a1, b1 and c1, the hotplugged one on a1, a2 and c1.
var disks = map[string]drivers.Location{"handle-of-disk": inSync("a1", "b1", "c1"), "handle-of-hotplugged": inSync("a1", "a2", "c1")}

var migrationTests = map[string]struct {
	pod *corev1.Pod
	// others are the other pods of the cluster.
	others    []runtime.Object
	locations map[string]drivers.Location
	// want are the nodes in play, nil for all.
	want     []string
	wantCode fwk.Code
	wantWhy  []string
}{
	"the first start of a virtual machine": {
		pod: launcher("target", "", "disk"), want: []string{"a1", "b1", "c1"},
	},
	"a live migration prefers another data node": {
		pod: launcher("target", "first", "disk"), others: []runtime.Object{running(launcher("source", "", "disk"), "a1", 0)},
		want: []string{"b1", "c1"},
	},
	"the second live migration leaves the target of the first": {
		pod: launcher("target", "second", "disk"), others: []runtime.Object{running(launcher("source", "first", "disk"), "b1", 0)},
		want: []string{"a1", "c1"},
	},
	"the target of a migration that failed is still there": {
		pod: launcher("target", "second", "disk"), others: []runtime.Object{
			running(launcher("failed", "first", "disk"), "b1", 1), running(launcher("source", "", "disk"), "a1", 0),
		},
		want: []string{"b1", "c1"},
	},
	"all disks count, also the hotplugged ones": {
		pod: launcher("target", "first", "disk"), others: []runtime.Object{
			running(launcher("source", "", "disk"), "a1", 0), running(holding(launcher("source", ""), "hotplugged"), "a1", 0),
		},
		want: []string{"c1"},
	},
	"a virtual machine of which all disks are hotplugged": {
		pod: launcher("target", "first"), others: []runtime.Object{
			running(launcher("source", ""), "a1", 0), running(holding(launcher("source", ""), "hotplugged"), "a1", 0),
		},
		want: []string{"a2", "c1"},
	},
	"the hotplugged disks of another virtual machine do not count": {
		pod: launcher("target", "first", "disk"), others: []runtime.Object{
			running(launcher("source", "", "disk"), "a1", 0), running(holding(launcher("other", ""), "hotplugged"), "a1", 0),
		},
		want: []string{"b1", "c1"},
	},
	"a hotplugged disk whose claim is gone is left out": {
		pod: launcher("target", "first", "disk"), others: []runtime.Object{
			running(launcher("source", "", "disk"), "a1", 0), running(holding(launcher("source", ""), "gone"), "a1", 0),
		},
		want: []string{"b1", "c1"},
	},
	"a virtual machine without disks": {
		pod: launcher("target", "first"), others: []runtime.Object{running(launcher("source", ""), "a1", 0)}, wantCode: fwk.Skip,
	},
	"the source is in another cluster": {
		pod: launcher("target", "first", "disk"), want: []string{"a1", "b1", "c1"},
	},
	"the source is another virtual machine's": {
		pod: launcher("target", "first", "disk"),
		others: []runtime.Object{changed(running(launcher("source", "", "disk"), "a1", 0), func(pod *corev1.Pod) {
			pod.Labels["kubevirt.io/created-by"] = "another"
		})},
		want: []string{"a1", "b1", "c1"},
	},
	"the source is in another namespace": {
		pod: launcher("target", "first", "disk"),
		others: []runtime.Object{changed(running(launcher("source", "", "disk"), "a1", 0), func(pod *corev1.Pod) {
			pod.Namespace = "another"
		})},
		want: []string{"a1", "b1", "c1"},
	},
	"the source has ended": {
		pod: launcher("target", "first", "disk"),
		others: []runtime.Object{changed(running(launcher("source", "", "disk"), "a1", 0), func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodSucceeded
		})},
		want: []string{"a1", "b1", "c1"},
	},
	"the source is being deleted": {
		pod: launcher("target", "first", "disk"),
		others: []runtime.Object{changed(running(launcher("source", "", "disk"), "a1", 0), func(pod *corev1.Pod) {
			pod.DeletionTimestamp, pod.Finalizers = ptr.To(metav1.NewTime(testEpoch)), []string{"example.com/kept"}
		})},
		want: []string{"a1", "b1", "c1"},
	},
	"the only data node is the one that is left": {
		pod: launcher("target", "first", "disk"), others: []runtime.Object{running(launcher("source", "", "disk"), "a1", 0)},
		locations: map[string]drivers.Location{"handle-of-disk": inSync("a1")},
	},
	"Required, and the only data node is the one that is left": {
		pod: annotated(launcher("target", "first", "disk"), "Required"), others: []runtime.Object{running(launcher("source", "", "disk"), "a1", 0)},
		locations: map[string]drivers.Location{"handle-of-disk": inSync("a1")},
		wantCode:  fwk.UnschedulableAndUnresolvable, wantWhy: []string{ErrReasonNoOtherNode},
	},
	"a pod that holds hotplugged disks follows its virtual machine, to any node": {
		pod: holding(launcher("source", ""), "disk"),
	},
	"also such a pod keeps to the data nodes where that is Required": {
		pod: annotated(holding(launcher("source", ""), "disk"), "Required"), want: []string{"a1", "b1", "c1"},
	},
}

func TestLiveMigration(t *testing.T) {
	for name, tc := range migrationTests {
		t.Run(name, func(t *testing.T) {
			locations := disks
			if tc.locations != nil {
				locations = tc.locations
			}
			objects := append(claimAndPV("disk"), claimAndPV("hotplugged")...)
			f := newFixture(t, world{nodes: sixNodes(), objects: append(append(objects, tc.others...), tc.pod), driver: &memory{locations: locations}})
			got, _ := f.attempt(tc.pod)
			if diff := cmp.Diff(tc.want, got.Nodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			if got.Code != tc.wantCode {
				t.Errorf("code = %s, want %s", got.Code, tc.wantCode)
			}
			if diff := cmp.Diff(tc.wantWhy, got.Reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheOldestPodIsTheSource(t *testing.T) {
	source, failed := running(launcher("source", ""), "a1", 0), running(launcher("failed", "first"), "b1", 1)
	for _, pods := range [][]*corev1.Pod{{source, failed, launcher("target", "second")}, {launcher("target", "second"), failed, source}} {
		if got := sourceAmong(pods); got != source {
			t.Errorf("source = %s, want %s", got.Name, source.Name)
		}
	}
}

func TestALiveMigrationCountsAllDisks(t *testing.T) {
	source := running(launcher("source", "", "disk"), "a1", 0)
	pod := launcher("target", "first", "disk")
	f := newFixture(t, world{
		nodes: sixNodes(), objects: slices.Concat(claimAndPV("disk"), claimAndPV("hotplugged"), []runtime.Object{
			source, running(holding(source, "hotplugged", "disk"), "a1", 0), // a disk that is in both counts once
		}),
		driver: &memory{locations: map[string]drivers.Location{"handle-of-disk": inSync("a1", "b1"), "handle-of-hotplugged": inSync("a1")}},
	})
	got, state := f.attempt(pod)
	// b1 has one of the two, and b2 is beside it. What is on a1 draws nobody, near to it or on it.
	if diff := cmp.Diff([]int64{12, 12, 50, 25, 0, 0}, got.Scores); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
	f.pl.PostBind(t.Context(), state, pod, "b1")
	want := []string{`Warning VolumesNotLocal 1/2 volumes local on b1; "hotplugged" is on a1 (the virtual machine leaves it)`}
	if diff := cmp.Diff(want, f.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAPodWithHotpluggedDisksIsToldThatItFollows(t *testing.T) {
	pod := holding(launcher("source", ""), "disk")
	f := newFixture(t, world{nodes: sixNodes(), objects: claimAndPV("disk"), driver: &memory{locations: disks}})
	_, state := f.attempt(pod)
	f.pl.PostBind(t.Context(), state, pod, "b2")
	want := []string{`Warning VolumesNotLocal 0/1 volumes local on b2; the pod follows its virtual machine; ` +
		`"disk" is on a1, b1, c1 (same topology.kubernetes.io/rack)`}
	if diff := cmp.Diff(want, f.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// podLister counts what it is asked, and may fail.
type podLister struct {
	corelisters.PodLister
	asked int
	err   error
}

func (l *podLister) Pods(namespace string) corelisters.PodNamespaceLister {
	l.asked++
	return failing{PodNamespaceLister: l.PodLister.Pods(namespace), err: l.err}
}

type failing struct {
	corelisters.PodNamespaceLister
	err error
}

func (l failing) List(selector labels.Selector) ([]*corev1.Pod, error) {
	if l.err != nil {
		return nil, l.err
	}
	return l.PodNamespaceLister.List(selector)
}

// TestOtherPodsPayNothing counts look-ups of pods, whose cost grows with the namespace.
func TestOtherPodsPayNothing(t *testing.T) {
	tests := map[string]struct {
		pod  *corev1.Pod
		want int
	}{
		"a pod":                          {pod: podUsing("disk")},
		"a pod of a virtual machine":     {pod: launcher("target", "", "disk")},
		"a pod with hotplugged disks":    {pod: holding(launcher("source", ""), "disk")},
		"the target of a live migration": {pod: launcher("target", "first", "disk"), want: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, world{nodes: sixNodes(), objects: claimAndPV("disk"), driver: &memory{locations: disks}})
			lister := &podLister{PodLister: f.pl.pods}
			f.pl.pods = lister
			f.attempt(tc.pod)
			if lister.asked != tc.want {
				t.Errorf("%d look-ups, want %d", lister.asked, tc.want)
			}
		})
	}
}

func TestALiveMigrationWhosePodsCannotBeReadIsPlacedAsAnyPod(t *testing.T) {
	f := newFixture(t, world{
		nodes: sixNodes(), objects: append(claimAndPV("disk"), running(launcher("source", "", "disk"), "a1", 0)), driver: &memory{locations: disks},
	})
	f.pl.pods = &podLister{PodLister: f.pl.pods, err: errors.New("no index")}
	got, _ := f.attempt(launcher("target", "first", "disk"))
	if diff := cmp.Diff([]string{"a1", "b1", "c1"}, got.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

// BenchmarkLiveMigration is PreFilter for the target of a live migration, by the pods of its namespace.
func BenchmarkLiveMigration(b *testing.B) {
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
	}{{"target", launcher("target", "first", "disk")}, {"other", podUsing("disk")}} {
		b.Run(tc.name, func(b *testing.B) {
			objects := append(claimAndPV("disk"), running(launcher("source", "", "disk"), "a1", 0))
			for i := range 1000 {
				objects = append(objects, st.MakePod().Name(fmt.Sprintf("pod-%d", i)).Namespace(builders.Namespace).Label("app", "web").Obj())
			}
			f := newFixture(b, world{nodes: sixNodes(), objects: objects, driver: &memory{locations: disks}})
			state := framework.NewCycleState()
			b.ReportAllocs()
			for b.Loop() {
				f.pl.PreFilter(b.Context(), state, tc.pod, f.nodes)
			}
		})
	}
}
