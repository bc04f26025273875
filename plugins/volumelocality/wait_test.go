// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// waitingFor is the pod of a fixture with a wait.
func waitingFor(wait string, claims ...string) *corev1.Pod {
	pod := podUsing(claims...)
	pod.Annotations = map[string]string{"roost.dev/locality-wait": wait}
	return pod
}

// try makes an attempt whose nodes in play lack CPU, and returns those nodes and what PostFilter says.
func (f *fixture) try(pod *corev1.Pod) ([]string, *fwk.Status) {
	f.t.Helper()
	got, state := f.attempt(pod)
	_, status := f.pl.PostFilter(f.t.Context(), state, pod, failed(got.Nodes))
	return got.Nodes, status
}

func TestAPodIsHeldToItsDataNodesUntilItsWaitIsOver(t *testing.T) {
	pod := waitingFor("10m", "data")
	w := dataOnA1()
	w.objects = append(claimAndPV("data"), pod)
	f := newFixture(t, w)
	const want = "waiting for room next to the data until 2023-11-14T22:23:20Z, and of the 1 node(s) with the data: 1 Insufficient cpu"
	for range 3 {
		nodes, status := f.try(pod)
		if diff := cmp.Diff([]string{"a1"}, nodes); diff != "" {
			t.Fatalf("nodes while it waits (-want +got):\n%s", diff)
		}
		// It says the same each time, so that the pod's status is written once.
		if status.Code() != fwk.UnschedulableAndUnresolvable || status.Message() != want {
			t.Errorf("status = %s %q, want UnschedulableAndUnresolvable %q", status.Code(), status.Message(), want)
		}
		f.clock.Step(3 * time.Minute)
	}
	if len(f.activator.activated) > 0 {
		t.Errorf("activated %v while it waits, want none", f.activator.activated)
	}
	f.clock.Step(time.Minute)
	defer func() {
		if f.hasAlarm(pod) {
			t.Error("the pod is woken again, though it was tried since its wait was over")
		}
	}()
	for i, want := range [][]string{{"a1"}, {"a1", "a2", "b1", "b2"}, nil} {
		if nodes, _ := f.try(pod); !slices.Equal(nodes, want) {
			t.Errorf("attempt %d after the wait: nodes = %v, want %v", i, nodes, want)
		}
	}
}

// TestAWaitThatEndsDuringTheAttempt has the pod go on at once: its alarm may have rung while the pod was in flight.
func TestAWaitThatEndsDuringTheAttempt(t *testing.T) {
	pod := waitingFor("1s", "data")
	w := dataOnA1()
	w.objects = append(claimAndPV("data"), pod)
	f := newFixture(t, w)
	_, state := f.attempt(pod)
	f.clock.Step(time.Second)
	if _, status := f.pl.PostFilter(t.Context(), state, pod, failed([]string{"a1"})); status.Message() != reasonWidening {
		t.Errorf("PostFilter says %q, want %q", status.Message(), reasonWidening)
	}
	if diff := cmp.Diff([]string{"db-0"}, f.activator.activated); diff != "" {
		t.Errorf("activated (-want +got):\n%s", diff)
	}
}

func TestHowLongAPodWaits(t *testing.T) {
	claim := func(name, wait string) []runtime.Object {
		return []runtime.Object{
			builders.MakeClaim(name).BoundTo("pv-"+name).Annotation("roost.dev/locality-wait", wait).Obj(),
			builders.MakePV("pv-"+name).CSI(provisioner, "handle-of-"+name).ClaimedBy(name).Obj(),
		}
	}
	waitingClass := class("Preferred")
	waitingClass.Annotations["roost.dev/locality-wait"] = "3m"
	tests := map[string]struct {
		pod     *corev1.Pod
		objects []runtime.Object
		args    func(*config.VolumeLocalityArgs)
		states  map[string]drivers.StorageState
		reverse bool
		want    time.Duration
	}{
		"not, without the annotation":                                 {pod: podUsing("data"), objects: claimAndPV("data")},
		"as the pod says":                                             {pod: waitingFor("2m", "data"), objects: claim("data", "5m"), want: 2 * time.Minute},
		"as the claim says":                                           {pod: podUsing("data"), objects: claim("data", "5m"), want: 5 * time.Minute},
		"as the StorageClass says":                                    {pod: podUsing("data"), objects: []runtime.Object{builders.MakeClaim("data").Class("fast").BoundTo("pv-data").Obj(), dataPV, waitingClass}, want: 3 * time.Minute},
		"for the longest of its volumes":                              {pod: podUsing("data", "log"), objects: append(claim("data", "5m"), claim("log", "7m")...), want: 7 * time.Minute},
		"not for a volume that is Ignored":                            {pod: annotatedBoth("Ignored", "2m"), objects: claimAndPV("data")},
		"not for one that is Required, whose nodes are no preference": {pod: annotatedBoth("Required", "2m"), objects: claimAndPV("data")},
		"not for one that it avoids":                                  {pod: annotatedBoth("Avoid", "2m"), objects: claimAndPV("data")},
		"not for one of which nobody knows where it is":               {pod: waitingFor("2m", "elsewhere"), objects: claimAndPV("elsewhere")},
		"not while no node serves the data":                           {pod: waitingFor("2m", "data"), objects: claimAndPV("data"), states: map[string]drivers.StorageState{"a1": drivers.StorageDown}},
		"not where the plugin is only to score": {
			pod: waitingFor("2m", "data"), objects: claimAndPV("data"), args: func(args *config.VolumeLocalityArgs) { args.DataNodesFirst = false },
		},
		"not where others would be evicted first": {pod: waitingFor("2m", "data"), objects: claimAndPV("data"), reverse: true},
		"not for what nobody knows where it is, beside what is known": {
			pod: podUsing("data", "elsewhere"), objects: append(claim("data", "5m"), claim("elsewhere", "7m")...), want: 5 * time.Minute,
		},
		"zero is no wait":             {pod: waitingFor("0s", "data"), objects: claim("data", "5m")},
		"a day, which is the longest": {pod: waitingFor("24h", "data"), objects: claimAndPV("data"), want: 24 * time.Hour},
		"not with more than that":     {pod: waitingFor("24h1s", "data"), objects: claimAndPV("data")},
		"not with a word":             {pod: waitingFor("soon", "data"), objects: claim("data", "5m")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			args := defaultArgs()
			if tc.args != nil {
				tc.args(args)
			}
			f := newFixture(t, world{
				args: args, nodes: sixNodes(), objects: append(tc.objects, tc.pod), preemptsFirst: tc.reverse,
				driver: &memory{locations: map[string]drivers.Location{"handle-of-data": inSync("a1"), "handle-of-log": inSync("a1")}, states: tc.states},
			})
			_, state := f.attempt(tc.pod)
			s, _ := readState(state)
			if got := s.until; !got.Equal(endOf(tc.want)) {
				t.Errorf("waits until %s, want %s", got, endOf(tc.want))
			}
		})
	}
}

// endOf is when a wait ends that begins at the epoch of the tests; no wait ends at no time.
func endOf(wait time.Duration) time.Time {
	if wait == 0 {
		return time.Time{}
	}
	return testEpoch.Add(wait)
}

func annotatedBoth(policy, wait string) *corev1.Pod {
	pod := waitingFor(wait, "data")
	pod.Annotations["roost.dev/locality"] = policy
	return pod
}

func TestTheWaitBeginsWithTheFirstAttempt(t *testing.T) {
	condition := func(reason string, ago time.Duration) []corev1.PodCondition {
		return []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: metav1.NewTime(testEpoch.Add(-ago)),
		}}
	}
	tests := map[string]struct {
		conditions []corev1.PodCondition
		want       time.Time
	}{
		"a new pod":                               {want: testEpoch},
		"one that a scheduler before this tried":  {conditions: condition(corev1.PodReasonUnschedulable, 4*time.Minute), want: testEpoch.Add(-4 * time.Minute)},
		"one whose last attempt was an error":     {conditions: condition(corev1.PodReasonSchedulerError, time.Minute), want: testEpoch.Add(-time.Minute)},
		"one that was gated until now":            {conditions: condition(corev1.PodReasonSchedulingGated, time.Hour), want: testEpoch},
		"one that another clock says is to come":  {conditions: condition(corev1.PodReasonUnschedulable, -time.Hour), want: testEpoch},
		"one that was bound, as far as that goes": {conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}, want: testEpoch},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := waitingFor("10m", "data")
			pod.Status.Conditions = tc.conditions
			w := dataOnA1()
			w.objects = append(claimAndPV("data"), pod)
			f := newFixture(t, w)
			for range 2 {
				_, state := f.attempt(pod)
				s, _ := readState(state)
				if want := tc.want.Add(10 * time.Minute); !s.until.Equal(want) {
					t.Errorf("waits until %s, want %s", s.until, want)
				}
				// The condition that the first attempt leaves does not count: this process knows better.
				f.clock.Step(time.Minute)
				pod.Status.Conditions = condition(corev1.PodReasonUnschedulable, time.Hour)
			}
		})
	}
}

// TestARestartDoesNotBeginTheWaitAnew has a second instance of the plugin meet the pod in the middle of its wait.
func TestARestartDoesNotBeginTheWaitAnew(t *testing.T) {
	pod := waitingFor("10m", "data")
	w := dataOnA1()
	w.objects = append(claimAndPV("data"), pod)
	before := newFixture(t, w)
	before.try(pod)
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: metav1.NewTime(before.clock.Now()),
	}}
	after := newFixture(t, w)
	after.clock.Step(9 * time.Minute)
	if nodes, status := after.try(pod); !slices.Equal(nodes, []string{"a1"}) || !strings.HasPrefix(status.Message(), "waiting ") {
		t.Errorf("a minute before the end: nodes %v, %q; want it to wait", nodes, status.Message())
	}
	after.clock.Step(time.Minute)
	if _, status := after.try(pod); status.Message() != reasonWidening {
		t.Errorf("at the end: %q, want %q", status.Message(), reasonWidening)
	}
}

func TestAPodThatOthersKeepOffItsDataNodesDoesNotWait(t *testing.T) {
	pod := waitingFor("10m", "data")
	w := dataOnA1()
	w.objects = append(claimAndPV("data"), pod)
	f := newFixture(t, w)
	_, state := f.attempt(pod)
	simultaneously := fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't satisfy plugin(s) [NodeAffinity VolumeLocality] simultaneously")
	f.pl.PostFilter(t.Context(), state, pod, framework.NewNodeToStatus(nil, simultaneously))
	if nodes, _ := f.attempt(pod); nodes.Nodes != nil {
		t.Errorf("nodes = %v, want all", nodes.Nodes)
	}
}

func TestWhatIsRememberedOfAWaitIsForgotten(t *testing.T) {
	tests := map[string]func(*fixture, *corev1.Pod){
		"after binding": func(f *fixture, pod *corev1.Pod) {
			f.pl.PostBind(t.Context(), framework.NewCycleState(), pod, "a2")
		},
		"with the pod": func(f *fixture, pod *corev1.Pod) {
			if err := f.client.CoreV1().Pods(pod.Namespace).Delete(f.t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
				f.t.Fatalf("deleting the pod: %v", err)
			}
		},
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			pod := waitingFor("10m", "data")
			w := dataOnA1()
			w.objects = append(claimAndPV("data"), pod)
			f := newFixture(t, w)
			f.try(pod)
			if !f.hasAlarm(pod) {
				t.Fatal("nobody wakes the pod when its wait is over")
			}
			happens(f, pod)
			waitUntil(t, func() bool { return !f.remembers(pod) })
		})
	}
	t.Run("of a pod that was deleted during its attempt", func(t *testing.T) {
		w := dataOnA1()
		w.objects = claimAndPV("data")
		f := newFixture(t, w)
		pod := waitingFor("10m", "data")
		if f.try(pod); f.remembers(pod) {
			t.Error("something is remembered that nobody will come to forget")
		}
	})
}

// remembers says that the plugin has an alarm for the pod, or knows when it was first tried.
func (f *fixture) remembers(pod *corev1.Pod) bool {
	_, tried := f.pl.firsts.of(pod.UID)
	return tried || f.hasAlarm(pod)
}

func (f *fixture) hasAlarm(pod *corev1.Pod) bool {
	f.pl.alarms.mu.Lock()
	defer f.pl.alarms.mu.Unlock()
	return f.pl.alarms.byPod[pod.UID] != nil
}

func TestABadWaitIsToldAfterBindingOnce(t *testing.T) {
	w := dataOnA1()
	w.objects = append(claimAndPV("data"), claimAndPV("log")...)
	w.driver.locations["handle-of-log"] = inSync("a1")
	f := newFixture(t, w)
	pod := waitingFor("25h", "data", "log")
	_, state := f.attempt(pod)
	f.pl.PostBind(t.Context(), state, pod, "a1")
	want := `Warning InvalidLocalityWait Pod "db-0": annotation roost.dev/locality-wait: invalid value "25h": must be a duration from 0s to 24h, for example 90s or 10m; the pod does not wait`
	if diff := cmp.Diff([]string{want, "Normal VolumesLocal 2/2 volumes local on a1"}, f.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
