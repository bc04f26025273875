// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func changedPod(name string, change func(*corev1.Pod)) *corev1.Pod {
	pod := runningPod(name)
	change(pod)
	return pod
}

func changedHook(change func(*snapshotv1alpha1.Hook)) snapshotv1alpha1.Hook {
	hook := hookNamed("lock")
	change(&hook)
	return hook
}

func notReady(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse }

var planTests = map[string]struct {
	hook snapshotv1alpha1.Hook
	pods []client.Object
	// want are pods and containers; wantErr is a part of the error.
	want    []string
	wantErr string
}{
	"the pods that use its claims": {
		hook: hookNamed("lock"),
		pods: append(twoPods(), runningPod("web-0")),
		want: []string{"db-0/postgres", "db-1/postgres"},
	},
	"a claim of a generic ephemeral volume": {
		hook: hookNamed("lock"),
		pods: []client.Object{changedPod("data", func(pod *corev1.Pod) {
			pod.Spec.Volumes[0] = corev1.Volume{Name: "db-0", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}
		})},
		want: []string{"data/postgres"},
	},
	"a selector takes pods that use none of them": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) {
			h.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
		}),
		pods: append(twoPods(), runningPod("web-0"), changedPod("other", func(pod *corev1.Pod) { pod.Labels = nil })),
		want: []string{"db-0/postgres", "db-1/postgres", "web-0/postgres"},
	},
	"one is the first by name": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) { h.Pods = snapshotv1alpha1.HookPodsOne }),
		pods: []client.Object{runningPod("db-1"), runningPod("db-0")},
		want: []string{"db-0/postgres"},
	},
	"one is the first that is ready": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) { h.Pods = snapshotv1alpha1.HookPodsOne }),
		pods: []client.Object{runningPod("db-1"), changedPod("db-0", notReady)},
		want: []string{"db-1/postgres"},
	},
	"pods that end, wait or are done are left out": {
		hook: hookNamed("lock"),
		pods: []client.Object{
			runningPod("db-1"),
			changedPod("db-0", func(pod *corev1.Pod) {
				now := metav1.Now()
				pod.DeletionTimestamp, pod.Finalizers = &now, []string{"test/keep"}
			}),
			changedPod("a", func(pod *corev1.Pod) {
				pod.Spec.Volumes, pod.Status.Phase = runningPod("db-0").Spec.Volumes, corev1.PodPending
			}),
			changedPod("b", func(pod *corev1.Pod) {
				pod.Spec.Volumes, pod.Status.Phase = runningPod("db-0").Spec.Volumes, corev1.PodSucceeded
			}),
		},
		want: []string{"db-1/postgres"},
	},
	"nothing ready is an error": {
		hook: hookNamed("lock"), pods: []client.Object{changedPod("db-0", notReady)},
		wantErr: `hook "lock": of 1 pods that match none is running and ready`,
	},
	"no pod at all is an error": {
		hook: hookNamed("lock"), wantErr: `hook "lock": of 0 pods that match none is running and ready`,
	},
	"with onError Continue it is none": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) { h.OnError = snapshotv1alpha1.OnErrorContinue }),
	},
	"the container that is asked for": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) { h.Container = "exporter" }),
		pods: []client.Object{runningPod("db-0")},
		want: []string{"db-0/exporter"},
	},
	"the container that kubectl would take": {
		hook: hookNamed("lock"),
		pods: []client.Object{changedPod("db-0", func(pod *corev1.Pod) { pod.Annotations = map[string]string{annotationContainer: "exporter"} })},
		want: []string{"db-0/exporter"},
	},
	"a sidecar": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) { h.Container = "freezer" }),
		pods: []client.Object{changedPod("db-0", func(pod *corev1.Pod) {
			always := corev1.ContainerRestartPolicyAlways
			pod.Spec.InitContainers = []corev1.Container{{Name: "freezer", RestartPolicy: &always}}
		})},
		want: []string{"db-0/freezer"},
	},
	"an init container has ended": {
		hook:    changedHook(func(h *snapshotv1alpha1.Hook) { h.Container = "init" }),
		pods:    []client.Object{changedPod("db-0", func(pod *corev1.Pod) { pod.Spec.InitContainers = []corev1.Container{{Name: "init"}} })},
		wantErr: `hook "lock": pod db-0 has no container "init"`,
	},
	"a container that is missing is an error": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) { h.Container = "mysql" }), pods: twoPods(),
		wantErr: `hook "lock": pod db-0 has no container "mysql"`,
	},
	"with onError Continue the pod is left out": {
		hook: changedHook(func(h *snapshotv1alpha1.Hook) {
			h.Container, h.OnError = "mysql", snapshotv1alpha1.OnErrorContinue
		}),
		pods: twoPods(),
	},
}

func TestPlan(t *testing.T) {
	for name, tc := range planTests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			freeze, err := w.runner(fakeClient(interceptor.Funcs{}, tc.pods...)).Plan(t.Context(), snapshotWith(tc.hook))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, pod := range freeze.Pods {
				got = append(got, pod.Name+"/"+pod.Container)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(w.log) > 0 {
				t.Errorf("a plan ran %v", w.log)
			}
		})
	}
}

func TestPlanFillsTheJournal(t *testing.T) {
	w := newWorld(nil)
	hook := hookNamed("lock")
	hook.Timeout = metav1.Duration{Duration: 7 * time.Second}
	pod := changedPod("db-0", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].RestartCount = 3 })
	snapshot := snapshotWith(hook, changedHook(func(h *snapshotv1alpha1.Hook) { h.Name, h.Thaw = "flush", nil }))
	got, err := w.runner(fakeClient(interceptor.Funcs{}, pod)).Plan(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	planned := snapshotv1alpha1.FrozenPod{
		Hook: "lock", Name: "db-0", UID: "uid-db-0", Container: "postgres", ContainerID: "containerd://db-0", RestartCount: 3,
		Thaw: []string{"thaw"}, Timeout: metav1.Duration{Duration: 7 * time.Second}, State: snapshotv1alpha1.PodPlanned,
	}
	flushed := planned
	flushed.Hook, flushed.Thaw, flushed.Timeout.Duration = "flush", nil, DefaultTimeout
	want := &snapshotv1alpha1.Freeze{
		RunID: got.RunID, State: snapshotv1alpha1.Freezing,
		StartTime: metav1.NewMicroTime(now), Deadline: metav1.NewMicroTime(now.Add(maxFreeze)),
		Pods: []snapshotv1alpha1.FrozenPod{planned, flushed},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.clock.Step(time.Millisecond)
	again, err := w.runner(fakeClient(interceptor.Funcs{}, pod)).Plan(t.Context(), snapshot)
	if err != nil || again.RunID == got.RunID || len(again.RunID) > 63 {
		t.Errorf("the second run has the ID %q, the first %q (%v)", again.RunID, got.RunID, err)
	}
}

func TestPlanWithoutHooks(t *testing.T) {
	snapshot := snapshotWith()
	snapshot.Spec.Hooks = nil
	w := newWorld(nil)
	freeze, err := w.runner(fakeClient(interceptor.Funcs{})).Plan(t.Context(), snapshot)
	if freeze != nil || err != nil {
		t.Errorf("got %v, %v", freeze, err)
	}
}

func TestPlanRefusesMorePodsThanAJournalHasRoomFor(t *testing.T) {
	hook := changedHook(func(h *snapshotv1alpha1.Hook) { h.PodSelector = &metav1.LabelSelector{} })
	pods := make([]client.Object, 0, MaxPods+1)
	for i := range MaxPods {
		pods = append(pods, runningPod(fmt.Sprintf("db-%d", i)))
	}
	w := newWorld(nil)
	if _, err := w.runner(fakeClient(interceptor.Funcs{}, pods...)).Plan(t.Context(), snapshotWith(hook)); err != nil {
		t.Errorf("%d pods: %v", len(pods), err)
	}
	pods = append(pods, runningPod("one-more"))
	if _, err := w.runner(fakeClient(interceptor.Funcs{}, pods...)).Plan(t.Context(), snapshotWith(hook)); err == nil {
		t.Errorf("%d pods are no error", len(pods))
	}
}

// Two freezes of one pod at the same time would thaw each other's.
func TestPlanWaitsForAnotherFreezeOfThePod(t *testing.T) {
	other := snapshotWith(hookNamed("lock"))
	other.Name, other.UID = "hourly", "uid-hourly"
	other.Status.Freeze = &snapshotv1alpha1.Freeze{
		RunID: "other", State: snapshotv1alpha1.Thawing,
		Pods: []snapshotv1alpha1.FrozenPod{{Hook: "lock", Name: "db-1", UID: "uid-db-1", State: snapshotv1alpha1.PodFrozen}},
	}
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), other)...)
	r := w.runner(c)
	if _, err := r.Plan(t.Context(), snapshotWith(hookNamed("lock"))); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "hourly") {
		t.Errorf("got %v, want ErrBusy with the name of the other", err)
	}
	stale := fakeClient(interceptor.Funcs{}, other.DeepCopy())
	other.Status.Freeze.State = snapshotv1alpha1.Thawed
	if err := c.Status().Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	r.memory = stale
	if _, err := r.Plan(t.Context(), snapshotWith(hookNamed("lock"))); err != nil {
		t.Errorf("the other is thawed, only the memory does not know: %v", err)
	}
}
