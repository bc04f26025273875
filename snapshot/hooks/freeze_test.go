// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// onPod is a hook that runs in the one pod of a name.
func onPod(hook, pod string) snapshotv1alpha1.Hook {
	h := hookNamed(hook)
	h.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"name": pod}}
	return h
}

func namedPods() []client.Object {
	var pods []client.Object
	for _, name := range []string{"db-0", "db-1"} {
		pods = append(pods, changedPod(name, func(pod *corev1.Pod) { pod.Labels["name"] = name }))
	}
	return pods
}

func continuing(hook snapshotv1alpha1.Hook) snapshotv1alpha1.Hook {
	hook.OnError = snapshotv1alpha1.OnErrorContinue
	return hook
}

var freezeTests = map[string]struct {
	acts  map[string][]act
	hooks []snapshotv1alpha1.Hook
	// want are the pods in the journal after Freeze, and wantErr a part of its error.
	want    []string
	wantErr string
	// wantDone is what ran, with the thaw that follows.
	wantDone []string
}{
	"hooks in order, and back": {
		hooks:    []snapshotv1alpha1.Hook{onPod("first", "db-0"), onPod("second", "db-1")},
		want:     []string{"first db-0 Frozen", "second db-1 Frozen"},
		wantDone: []string{"freeze db-0", "freeze db-1", "thaw db-1", "thaw db-0"},
	},
	"an error stops what comes after": {
		acts:     map[string][]act{"freeze db-0": {fails}},
		hooks:    []snapshotv1alpha1.Hook{onPod("first", "db-0"), onPod("second", "db-1")},
		want:     []string{"first db-0 Failed", "second db-1 Planned"},
		wantErr:  `hook "first" in pod db-0: command terminated with exit code 1`,
		wantDone: []string{"freeze db-0", "thaw db-0"},
	},
	"one that froze and then failed is thawed": {
		acts:     map[string][]act{"freeze db-1": {halfway}},
		hooks:    []snapshotv1alpha1.Hook{onPod("first", "db-0"), onPod("second", "db-1")},
		want:     []string{"first db-0 Frozen", "second db-1 Failed"},
		wantErr:  "exit code 1: freeze says so",
		wantDone: []string{"freeze db-0", "freeze db-1", "thaw db-1", "thaw db-0"},
	},
	"one that hangs may still run, and is thawed": {
		acts:     map[string][]act{"freeze db-0": {hangs}},
		hooks:    []snapshotv1alpha1.Hook{onPod("first", "db-0")},
		want:     []string{"first db-0 Attempted"},
		wantErr:  "it did not end within 10s",
		wantDone: []string{"freeze db-0", "thaw db-0"},
	},
	"denied, in the API server's words, and no thaw is tried, which is denied too": {
		acts:    map[string][]act{"start db-0": {denied}, "thaw db-0": {denied, denied, denied, denied}},
		hooks:   []snapshotv1alpha1.Hook{onPod("first", "db-0")},
		want:    []string{"first db-0 Planned"},
		wantErr: `cannot create resource "pods/exec"`, wantDone: []string{},
	},
	"denied without a timer": {
		acts: map[string][]act{"freeze db-0": {denied}, "thaw db-0": {denied, denied, denied, denied}},
		hooks: []snapshotv1alpha1.Hook{changedHook(func(h *snapshotv1alpha1.Hook) {
			*h = onPod("first", "db-0")
			h.Timer = snapshotv1alpha1.FreezeTimerNone
		})},
		want:     []string{"first db-0 Planned"},
		wantErr:  `cannot create resource "pods/exec"`,
		wantDone: []string{"freeze db-0"},
	},
	"the container is gone": {
		acts:     map[string][]act{"freeze db-0": {gone}},
		hooks:    []snapshotv1alpha1.Hook{onPod("first", "db-0")},
		want:     []string{"first db-0 Attempted"},
		wantErr:  `container not found ("postgres")`,
		wantDone: []string{"freeze db-0", "thaw db-0"},
	},
	"without a timer nothing is frozen": {
		acts:     map[string][]act{"start db-0": {fails}},
		hooks:    []snapshotv1alpha1.Hook{onPod("first", "db-0")},
		want:     []string{"first db-0 Planned"},
		wantErr:  "nothing was frozen, as the timer did not start, which needs sh and sleep",
		wantDone: []string{},
	},
	"with onError Continue the others are frozen": {
		acts:     map[string][]act{"freeze db-0": {fails}},
		hooks:    []snapshotv1alpha1.Hook{continuing(onPod("first", "db-0")), onPod("second", "db-1")},
		want:     []string{"first db-0 Failed", "second db-1 Frozen"},
		wantDone: []string{"freeze db-0", "freeze db-1", "thaw db-1", "thaw db-0"},
	},
	"with onError Continue maxFreeze holds all the same": {
		acts: map[string][]act{"freeze db-0": {{hangs: maxFreeze}}},
		hooks: []snapshotv1alpha1.Hook{
			continuing(changedHook(func(h *snapshotv1alpha1.Hook) {
				*h = onPod("first", "db-0")
				h.Timeout = metav1.Duration{Duration: time.Minute}
			})),
			onPod("second", "db-1"),
		},
		want:     []string{"first db-0 Attempted", "second db-1 Planned"},
		wantErr:  "it did not end within 29.95s",
		wantDone: []string{"freeze db-0", "thaw db-0"},
	},
	"one after the other must fit into maxFreeze": {
		hooks: []snapshotv1alpha1.Hook{
			onPod("first", "db-0"),
			changedHook(func(h *snapshotv1alpha1.Hook) {
				*h = onPod("second", "db-1")
				h.Freeze = []string{"slow"}
				h.Timeout = metav1.Duration{Duration: time.Minute}
			}),
		},
		want:     []string{"first db-0 Frozen", "second db-1 Frozen"},
		wantErr:  "maxFreeze has passed",
		wantDone: []string{"freeze db-0", "slow db-1", "thaw db-1", "thaw db-0"},
	},
}

func TestFreezeAndThaw(t *testing.T) {
	for name, tc := range freezeTests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(copied(tc.acts))
			w.acts["slow db-1"] = []act{{effect: true, before: func() { w.clock.Step(maxFreeze) }}}
			c := fakeClient(interceptor.Funcs{}, append(namedPods(), snapshotWith(tc.hooks...))...)
			r := w.runner(c)
			j := planned(t, r, c)
			err := r.Freeze(t.Context(), j)
			if (tc.wantErr == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("got error %v, want %q", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, states(j.Object.Status.Freeze)); diff != "" {
				t.Errorf("frozen (-want +got):\n%s", diff)
			}
			if isFrozen := j.Object.Status.Freeze.State == snapshotv1alpha1.Frozen; isFrozen != (err == nil) {
				t.Errorf("state %s with error %v", j.Object.Status.Freeze.State, err)
			}
			checkThaw(t, w, c, j)
			if diff := cmp.Diff(tc.wantDone, w.did()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// checkThaw thaws, after which nothing is frozen and the API server knows.
func checkThaw(t *testing.T, w *world, c client.Client, j *Journal) {
	t.Helper()
	if err := w.runner(c).Thaw(t.Context(), j); err != nil {
		t.Errorf("thawing: %v", err)
	}
	if frozen := w.frozen(); len(frozen) > 0 {
		t.Errorf("%v are frozen when it is over", frozen)
	}
	if stored := read(t, c).Object.Status.Freeze; stored.State != snapshotv1alpha1.Thawed || stored.ThawTime == nil {
		t.Errorf("the API server has state %s, thawed at %v", stored.State, stored.ThawTime)
	}
}

// What is saved when a command begins is what a successor would know.
func TestTheJournalIsSavedBeforeEachHook(t *testing.T) {
	w := newWorld(map[string][]act{})
	c := fakeClient(interceptor.Funcs{}, append(namedPods(), snapshotWith(onPod("first", "db-0"), onPod("second", "db-1")))...)
	seen := map[string][]string{}
	for _, command := range []string{"start db-0", "freeze db-0", "start db-1", "freeze db-1"} {
		w.acts[command] = []act{{effect: true, before: func() { seen[command] = states(read(t, c).Object.Status.Freeze) }}}
	}
	var stateAtThaw snapshotv1alpha1.FreezeState
	w.acts["thaw db-1"] = []act{{effect: true, before: func() { stateAtThaw = read(t, c).Object.Status.Freeze.State }}}
	r := w.runner(c)
	j := planned(t, r, c)
	if err := r.Freeze(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	first, second := []string{"first db-0 Attempted", "second db-1 Planned"}, []string{"first db-0 Frozen", "second db-1 Attempted"}
	want := map[string][]string{"start db-0": first, "freeze db-0": first, "start db-1": second, "freeze db-1": second}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if stateAtThaw != snapshotv1alpha1.Thawing {
		t.Errorf("state %s when the first thaw began", stateAtThaw)
	}
	if wantLog := []string{"start db-0", "freeze db-0", "start db-1", "freeze db-1", "thaw db-1", "stop db-1", "thaw db-0", "stop db-0"}; !slices.Equal(w.log, wantLog) {
		t.Errorf("timers and commands ran as %v", w.log)
	}
}

func TestHooksThatNeedNoTimer(t *testing.T) {
	for name, change := range map[string]func(*snapshotv1alpha1.Hook){
		"nothing to thaw":   func(h *snapshotv1alpha1.Hook) { h.Thaw = nil },
		"none is asked for": func(h *snapshotv1alpha1.Hook) { h.Timer = snapshotv1alpha1.FreezeTimerNone },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(changedHook(change)))...)
			r := w.runner(c)
			j := planned(t, r, c)
			if err := errors.Join(r.Freeze(t.Context(), j), r.Thaw(t.Context(), j)); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(w.log, func(entry string) bool { return strings.HasPrefix(entry, "start") || strings.HasPrefix(entry, "stop") }) {
				t.Errorf("ran %v", w.log)
			}
			if diff := cmp.Diff([]string{"lock db-0 Thawed", "lock db-1 Thawed"}, states(j.Object.Status.Freeze)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingIsFrozenInAPodThatWasReplacedSinceThePlan(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"another pod":       func(pod *corev1.Pod) { pod.UID = "another" },
		"another container": func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].ContainerID = "containerd://another" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			c := fakeClient(interceptor.Funcs{}, append(namedPods(), snapshotWith(onPod("first", "db-0")))...)
			r := w.runner(c)
			j := planned(t, r, c)
			replace(t, c, changedPod("db-0", change))
			if err := r.Freeze(t.Context(), j); err == nil {
				t.Error("froze it")
			}
			if len(w.log) > 0 {
				t.Errorf("ran %v", w.log)
			}
		})
	}
}

func replace(t *testing.T, c client.Client, pod *corev1.Pod) {
	t.Helper()
	if err := c.Delete(t.Context(), runningPod(pod.Name)); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

// A loop that comes round again must not freeze again.
func TestAJournalFreezesOnce(t *testing.T) {
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(hookNamed("lock")))...)
	r := w.runner(c)
	j := planned(t, r, c)
	if err := r.Freeze(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if err := r.Freeze(t.Context(), read(t, c)); err == nil {
		t.Error("froze a second time")
	}
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if err := r.Freeze(t.Context(), read(t, c)); err == nil {
		t.Error("froze what was thawed")
	}
}

// Nothing may run that the API server does not know of.
func TestAConflictBeforeTheFirstCommandRunsNone(t *testing.T) {
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(hookNamed("lock")))...)
	r := w.runner(c)
	j := planned(t, r, c)
	other := read(t, c)
	other.Object.Status.Message = "somebody else was here"
	if err := other.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Freeze(t.Context(), j); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	if len(w.log) > 0 {
		t.Errorf("ran %v", w.log)
	}
}

func TestTwoRunsOfOneProcessDoNotShareAPod(t *testing.T) {
	w := newWorld(nil)
	other := snapshotWith(hookNamed("lock"))
	other.Name, other.UID = "hourly", "uid-hourly"
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(hookNamed("lock")), other)...)
	r := w.runner(c)
	freeze, err := r.Plan(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	j := planned(t, r, c)
	if err := r.Freeze(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	second := read(t, c)
	second.Object.Status.Freeze = freeze
	if err := r.Freeze(t.Context(), second); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	second.Object.ResourceVersion = read(t, c).Object.ResourceVersion
	if err := r.Freeze(t.Context(), second); err != nil {
		t.Errorf("the first is thawed: %v", err)
	}
}

func TestWhatAFreezeSaysIsKept(t *testing.T) {
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(hookNamed("lock")))...)
	r := New(Options{Client: c, Memory: c, Clock: w.clock, Executor: executorFunc(func(_ context.Context, command []string) (string, error) {
		if kindOf(command) == "start" {
			return "17\n", nil
		}
		return strings.Repeat("ä", 3000) + "\x1b[31mred\x00 \xff", nil
	})})
	j := planned(t, r, c)
	if err := r.Freeze(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	pod := j.Object.Status.Freeze.Pods[0]
	if len(pod.Output) > maxOutput || !strings.HasSuffix(pod.Output, "ä[31mred �") || pod.TimerPID != "17" {
		t.Errorf("got %d bytes, the end of which is %q, and timer %s", len(pod.Output), pod.Output[len(pod.Output)-20:], pod.TimerPID)
	}
}

// Its seconds count from when the container got the command, which may be long after they were reckoned.
func TestATimerThatStartsLateIsStartedAnew(t *testing.T) {
	for name, tc := range map[string]struct {
		slow    int
		wantErr bool
		want    []string
	}{
		"once":  {slow: 1, want: []string{"start db-0", "stop db-0", "start db-0", "freeze db-0"}},
		"twice": {slow: 2, wantErr: true, want: []string{"start db-0", "stop db-0", "start db-0", "stop db-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			slow := act{effect: true, before: func() { w.clock.Step(3 * time.Second) }}
			w.acts = map[string][]act{"start db-0": repeated(slow, tc.slow)}
			c := fakeClient(interceptor.Funcs{}, append(namedPods(), snapshotWith(onPod("lock", "db-0")))...)
			r := w.runner(c)
			j := planned(t, r, c)
			if err := r.Freeze(t.Context(), j); (err != nil) != tc.wantErr {
				t.Errorf("error %v, want one: %t", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, w.log); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			// Nobody thaws it but the timer.
			w.clock.SetTime(j.Object.Status.Freeze.Deadline.Add(granularity))
			if frozen, longest := w.frozen(), w.longest(); len(frozen) > 0 || longest > maxFreeze+granularity {
				t.Errorf("%v are frozen, for %s at most", frozen, longest)
			}
		})
	}
}
