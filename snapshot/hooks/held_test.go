// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

var heldTests = map[string]struct {
	acts  map[string][]act
	hooks []snapshotv1alpha1.Hook
	pods  []client.Object
	// change is what happens between the freeze and the question, thaw whether it is asked after the thaw.
	change func(t *testing.T, w *world, c client.Client)
	thaw   bool
	// want is a part of the reason, empty where it held.
	want string
}{
	"it held":                 {},
	"it held until the thaw":  {thaw: true},
	"one of them is enough":   {hooks: []snapshotv1alpha1.Hook{changedHook(func(h *snapshotv1alpha1.Hook) { h.Pods = snapshotv1alpha1.HookPodsOne })}},
	"a flush beside a freeze": {hooks: []snapshotv1alpha1.Hook{flush(), hookNamed("lock")}},
	"a flush holds nothing":   {hooks: []snapshotv1alpha1.Hook{flush()}, want: "none has a thaw"},
	"a freeze failed and the snapshot went on": {
		acts: map[string][]act{"freeze db-1": {fails}}, hooks: []snapshotv1alpha1.Hook{continuing(hookNamed("lock"))},
		want: `hook "lock" in pod db-1: freeze: command terminated with exit code 1`,
	},
	"a freeze failed and the pod was thawed": {
		acts: map[string][]act{"freeze db-1": {fails}}, hooks: []snapshotv1alpha1.Hook{continuing(hookNamed("lock"))}, thaw: true,
		want: `hook "lock" in pod db-1: freeze: command terminated with exit code 1`,
	},
	"there was no pod to freeze": {
		hooks: []snapshotv1alpha1.Hook{continuing(hookNamed("lock"))}, pods: []client.Object{runningPod("web-0")},
		want: `hook "lock" found no pod that it could run in`,
	},
	"a pod was not ready and could write": {
		pods: []client.Object{runningPod("db-0"), changedPod("db-1", notReady)}, want: "pod db-1 runs and was not frozen",
	},
	"a pod without the container could write": {
		hooks: []snapshotv1alpha1.Hook{continuing(changedHook(func(h *snapshotv1alpha1.Hook) { h.Container = "postgres" }))},
		pods: []client.Object{runningPod("db-0"), changedPod("db-1", func(pod *corev1.Pod) {
			pod.Spec.Containers = []corev1.Container{{Name: "other"}}
		})},
		want: "pod db-1 runs and was not frozen",
	},
	"a pod was replaced": {
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) { pod.UID = "another" }))
		},
		want: "pod db-0 is gone, or was replaced",
	},
	"a pod was gone when it was thawed": {
		change: func(t *testing.T, _ *world, c client.Client) {
			if err := c.Delete(t.Context(), runningPod("db-0")); err != nil {
				t.Fatal(err)
			}
		},
		thaw: true, want: "it was gone when it was thawed",
	},
	"a container was started anew": {
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].ContainerID = "containerd://another" }))
		},
		want: "container postgres of pod db-0 ended or was started anew",
	},
	"a container without an ID was started anew": {
		pods: []client.Object{changedPod("db-0", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].ContainerID = "" })},
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) {
				pod.Status.ContainerStatuses[0].ContainerID, pod.Status.ContainerStatuses[0].RestartCount = "", 1
			}))
		},
		want: "container postgres of pod db-0 ended or was started anew",
	},
	"a container ended": {
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) {
				pod.Status.ContainerStatuses[0].State.Terminated = &corev1.ContainerStateTerminated{}
			}))
		},
		want: "container postgres of pod db-0 ended or was started anew",
	},
	"a pod came meanwhile": {
		change: func(t *testing.T, _ *world, c client.Client) {
			if err := c.Create(t.Context(), changedPod("late", func(pod *corev1.Pod) { pod.Spec.Volumes = runningPod("db-0").Spec.Volumes })); err != nil {
				t.Fatal(err)
			}
		},
		want: "pod late runs and was not frozen",
	},
	"a pod that uses a claim and that no hook matches could write": {
		hooks: []snapshotv1alpha1.Hook{selecting(hookNamed("lock"), "db")},
		pods:  []client.Object{runningPod("db-0"), changedPod("db-1", func(pod *corev1.Pod) { pod.Labels = nil })},
		want:  "pod db-1 uses a claim of the snapshot and was not frozen",
	},
	"a pod that only a flush ran in could write": {
		hooks: []snapshotv1alpha1.Hook{selecting(hookNamed("lock"), "db"), selecting(flush(), "web")},
		pods:  []client.Object{runningPod("db-0"), changedPod("db-1", func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": "web"} })},
		want:  "pod db-1 uses a claim of the snapshot and was not frozen",
	},
	"one is enough only of those that the hook matches": {
		hooks: []snapshotv1alpha1.Hook{changedHook(func(h *snapshotv1alpha1.Hook) {
			*h = selecting(*h, "db")
			h.Pods = snapshotv1alpha1.HookPodsOne
		})},
		pods: []client.Object{runningPod("db-0"), changedPod("db-1", func(pod *corev1.Pod) { pod.Labels = nil })},
		want: "pod db-1 uses a claim of the snapshot and was not frozen",
	},
	"a pod that uses none of the claims may write": {
		hooks: []snapshotv1alpha1.Hook{selecting(hookNamed("lock"), "db")},
		pods:  []client.Object{runningPod("db-0"), changedPod("web-0", func(pod *corev1.Pod) { pod.Labels = nil })},
	},
	"a pod that uses a claim and has ended writes nothing": {
		hooks: []snapshotv1alpha1.Hook{selecting(hookNamed("lock"), "db")},
		pods: []client.Object{runningPod("db-0"), changedPod("db-1", func(pod *corev1.Pod) {
			pod.Labels, pod.Status.Phase = nil, corev1.PodSucceeded
		})},
	},
	"the timers were due": {
		change: func(_ *testing.T, w *world, _ client.Client) { w.clock.Step(maxFreeze) },
		want:   "the freeze took longer than maxFreeze",
	},
	"the timers were due after the thaw": {
		thaw:   true,
		change: func(_ *testing.T, w *world, _ client.Client) { w.clock.Step(time.Second) },
	},
	"pods without container statuses": {
		pods: []client.Object{changedPod("db-0", func(pod *corev1.Pod) { pod.Status.ContainerStatuses = nil })},
	},
}

func selecting(hook snapshotv1alpha1.Hook, app string) snapshotv1alpha1.Hook {
	hook.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	return hook
}

func flush() snapshotv1alpha1.Hook {
	return changedHook(func(h *snapshotv1alpha1.Hook) { h.Name, h.Thaw = "flush", nil })
}

func TestHeldThrough(t *testing.T) {
	for name, tc := range heldTests {
		t.Run(name, func(t *testing.T) {
			if tc.hooks == nil {
				tc.hooks = []snapshotv1alpha1.Hook{hookNamed("lock")}
			}
			if tc.pods == nil {
				tc.pods = twoPods()
			}
			w := newWorld(copied(tc.acts))
			c := fakeClient(interceptor.Funcs{}, append(tc.pods, snapshotWith(tc.hooks...))...)
			r := w.runner(c)
			j := planned(t, r, c)
			if err := r.Freeze(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			if tc.change != nil {
				tc.change(t, w, c)
			}
			if tc.thaw {
				if err := r.Thaw(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				w.clock.Step(maxFreeze)
			}
			held, why := r.HeldThrough(t.Context(), read(t, c).Object)
			if held != (tc.want == "") || held != (why == "") || !strings.Contains(why, tc.want) {
				t.Errorf("got %t, %q; want %q", held, why, tc.want)
			}
		})
	}
}

func TestWhatWasNotFrozenWasNotHeld(t *testing.T) {
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(hookNamed("lock")))...)
	r := w.runner(c)
	if held, why := r.HeldThrough(t.Context(), read(t, c).Object); held || why != "no hooks were run" {
		t.Errorf("without a journal: %t, %q", held, why)
	}
	if held, why := r.HeldThrough(t.Context(), planned(t, r, c).Object); held || why != "the freeze was not completed" {
		t.Errorf("before the freeze: %t, %q", held, why)
	}
}
