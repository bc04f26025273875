// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	testingclock "k8s.io/utils/clock/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality"
)

// room is a waiting with the storage that a test sets, and the pods that come back from it.
type room struct {
	*waiting
	t     *testing.T
	clock *testingclock.FakeClock

	mu      sync.Mutex
	storage map[string]drivers.Answer
	back    []string
	deleted map[types.UID]bool
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, clock: testingclock.NewFakeClock(testEpoch), storage: map[string]drivers.Answer{}, deleted: map[types.UID]bool{}}
	r.waiting = newWaiting(waitingOptions{
		clock: r.clock,
		locate: func(id drivers.VolumeID) drivers.Answer {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.storage[id.Handle]
		},
		exists: func(pod *corev1.Pod) bool { return !r.deleted[pod.UID] },
		activate: func(_ klog.Logger, pods map[string]*corev1.Pod) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.back = append(r.back, slices.Sorted(maps.Keys(pods))...)
		},
	})
	return r
}

func known(location drivers.Location) drivers.Answer {
	return drivers.Answer{Knowledge: drivers.Known, Location: location}
}

func idOf(handle string) drivers.VolumeID {
	return drivers.VolumeID{Provisioner: provisioner, Handle: handle}
}

// set changes where a volume is, without a word.
func (r *room) set(handle string, answer drivers.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.storage[handle] = answer
}

// came returns the pods that came back since it was last asked.
func (r *room) came() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	came := r.back
	r.back = nil
	return came
}

// saw is the state of an attempt that has seen the volumes as they are now, and all of whose nodes were full.
func (r *room) saw(handles ...string) *cycleState {
	s := &cycleState{since: r.now(), plan: &volumelocality.Plan{}, attempt: volumelocality.Attempt{Level: volumelocality.LevelAll}}
	for _, handle := range handles {
		answer := r.locate(idOf(handle))
		isKnown := answer.Knowledge == drivers.Known
		s.volumes = append(s.volumes, volumelocality.Volume{ID: idOf(handle), Policy: volumelocality.Required, Known: isKnown, Location: answer.Location})
		if !isKnown {
			s.plan = nil
		}
	}
	return s
}

// fails has a pod of these volumes find no node.
func (r *room) fails(name string, handles ...string) {
	r.t.Helper()
	r.note(klog.FromContext(r.t.Context()), unscheduled(name, ""), r.saw(handles...))
}

// say tells of a change, and has it looked at.
func (r *room) say(c drivers.Change) {
	r.change(c)
	if len(r.look) > 0 {
		<-r.look
		r.wakeChanged(klog.FromContext(r.t.Context()))
	}
}

func withReplica(location drivers.Location, node string, state drivers.ReplicaState) drivers.Location {
	location.Replicas = append(slices.Clone(location.Replicas), drivers.Replica{Node: node, State: state})
	return location
}

func TestPodsComeBackWhenTheirDataMoves(t *testing.T) {
	attached := inSync("a1")
	attached.AttachedTo = []string{"a1"}
	for name, tc := range map[string]struct {
		before, after drivers.Answer
		want          bool
	}{
		"a replica is in sync on another node":    {before: known(inSync("a1")), after: known(inSync("a1", "b1")), want: true},
		"the only replica moves":                  {before: known(inSync("a1")), after: known(inSync("b1")), want: true},
		"a replica has been filled":               {before: known(withReplica(inSync("a1"), "b1", drivers.Rebuilding)), after: known(inSync("a1", "b1")), want: true},
		"a replica is lost":                       {before: known(inSync("a1", "b1")), after: known(inSync("a1")), want: true},
		"the volume becomes known":                {after: known(inSync("a1")), want: true},
		"the volume is not known any more":        {before: known(inSync("a1")), after: drivers.Answer{Knowledge: drivers.TooOld}, want: true},
		"the volume is as unknown as before":      {before: drivers.Answer{Knowledge: drivers.TooOld}, after: drivers.Answer{}},
		"a replica is being filled":               {before: known(inSync("a1")), after: known(withReplica(inSync("a1"), "b1", drivers.Rebuilding))},
		"the volume is attached":                  {before: known(inSync("a1")), after: known(attached)},
		"the same replicas come in another order": {before: known(inSync("a1", "b1")), after: known(inSync("b1", "a1"))},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.set("data", tc.before)
			r.set("other", known(inSync("c1")))
			r.fails("db-0", "other", "data")
			r.fails("db-1", "other")
			r.set("data", tc.after)
			r.say(drivers.Change{Volume: idOf("data")})
			var want []string
			if tc.want {
				want = []string{"default/db-0"}
			}
			if diff := cmp.Diff(want, r.came()); diff != "" {
				t.Errorf("pods that come back (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodsComeBackWhenTheStorageOfADataNodeChanges(t *testing.T) {
	r := newRoom(t)
	r.set("data", known(withReplica(inSync("a1", "b1"), "c1", drivers.Rebuilding)))
	r.fails("db-0", "data")
	for _, unrelated := range []drivers.Change{
		{Provisioner: provisioner, Node: "c1"}, {Provisioner: provisioner, Node: "a2"}, {Provisioner: "other.example.com", Node: "a1"}, {},
	} {
		if r.change(unrelated); len(r.look) > 0 {
			t.Errorf("a change of %v is looked at", unrelated)
		}
	}
	r.say(drivers.Change{Provisioner: provisioner, Node: "b1"})
	if diff := cmp.Diff([]string{"default/db-0"}, r.came()); diff != "" {
		t.Errorf("pods that come back (-want +got):\n%s", diff)
	}
	r.say(drivers.Change{Provisioner: provisioner, Node: "a1"})
	if came := r.came(); came != nil {
		t.Errorf("%v come back though they do not wait any more", came)
	}
}

// Any node of a storage system that speaks again makes all its volumes known.
func TestPodsOfUnknownVolumesComeBackWhenTheirStorageSpeaks(t *testing.T) {
	r := newRoom(t)
	r.fails("db-0", "data")
	r.fails("db-1", "lost")
	r.say(drivers.Change{Provisioner: provisioner, Node: "z9"})
	if came := r.came(); came != nil {
		t.Errorf("%v come back before anything is known", came)
	}
	r.set("data", known(inSync("a1")))
	r.say(drivers.Change{Provisioner: "other.example.com", Node: "z9"})
	if came := r.came(); came != nil {
		t.Errorf("%v come back at the word of another storage system", came)
	}
	r.say(drivers.Change{Provisioner: provisioner, Node: "z9"})
	if diff := cmp.Diff([]string{"default/db-0"}, r.came()); diff != "" {
		t.Errorf("pods that come back (-want +got):\n%s", diff)
	}
}

func TestOnlyPodsWaitThatThePluginHeld(t *testing.T) {
	preferred := volumelocality.Volume{ID: idOf("data"), Policy: volumelocality.Preferred}
	required := volumelocality.Volume{ID: idOf("data"), Policy: volumelocality.Required}
	for name, tc := range map[string]struct {
		state cycleState
		want  bool
	}{
		"no volume counted":                     {state: cycleState{volumes: []volumelocality.Volume{preferred}}},
		"a Required volume is not known":        {state: cycleState{volumes: []volumelocality.Volume{preferred, required}}, want: true},
		"some nodes were in play":               {state: cycleState{volumes: []volumelocality.Volume{required}, plan: &volumelocality.Plan{}}, want: true},
		"all nodes were in play, and all full":  {state: cycleState{volumes: []volumelocality.Volume{preferred}, plan: &volumelocality.Plan{}, attempt: volumelocality.Attempt{All: true}}},
		"the pod has no volume with a location": {state: cycleState{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.fails("db-0", "before") // An earlier attempt that was held.
			r.note(klog.FromContext(t.Context()), unscheduled("db-0", ""), &tc.state)
			if got := len(r.pods) == 1; got != tc.want {
				t.Errorf("the pod waits: %t, want %t", got, tc.want)
			}
		})
	}
}

// What changes between the look at storage and the end of the attempt finds nobody waiting.
func TestAChangeDuringAnAttemptIsNotLost(t *testing.T) {
	for name, change := range map[string]func(*room){
		"of the volume": func(r *room) {
			r.set("data", known(inSync("b1")))
			r.change(drivers.Change{Volume: idOf("data")})
		},
		"of the storage": func(r *room) { r.change(drivers.Change{Provisioner: provisioner, Node: "a1"}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.set("data", known(inSync("a1")))
			r.change(drivers.Change{Provisioner: provisioner, Node: "a1"}) // Before the attempt, which sees what came of it.
			s := r.saw("data")
			change(r)
			r.note(klog.FromContext(t.Context()), unscheduled("db-0", ""), s)
			if diff := cmp.Diff([]string{"default/db-0"}, r.came()); diff != "" {
				t.Errorf("pods that come back (-want +got):\n%s", diff)
			}
			r.fails("db-0", "data")
			if came := r.came(); came != nil {
				t.Errorf("%v come back again for what the attempt has seen", came)
			}
		})
	}
}

func TestNothingIsKeptOfPodsThatDoNotWait(t *testing.T) {
	r := newRoom(t)
	r.set("data", known(inSync("a1", "b1")))
	r.deleted["gone"] = true
	r.fails("woken", "data")
	r.say(drivers.Change{Provisioner: provisioner, Node: "a1"})
	r.fails("gone", "data") // It was deleted during the attempt.
	r.fails("bound", "data", "unknown")
	r.fails("bound", "data") // Another attempt, which waits for less.
	r.forget("bound")
	r.forget("never-seen")
	if len(r.pods) != 0 || len(r.byChange) != 0 || len(r.changed) != 0 {
		t.Errorf("kept: pods %v, by change %v, changes %v, want nothing", r.pods, r.byChange, r.changed)
	}
}

// Nodes come and go for years, and an attempt lasts milliseconds.
func TestChangesOfStorageAreForgottenWhenNoAttemptCanHaveMissedThem(t *testing.T) {
	r := newRoom(t)
	r.set("data", known(inSync("a1")))
	s := r.saw("data")
	r.change(drivers.Change{Provisioner: provisioner, Node: "a1"})
	r.wakeOutdated(klog.FromContext(t.Context()))
	r.note(klog.FromContext(t.Context()), unscheduled("db-0", ""), s)
	if diff := cmp.Diff([]string{"default/db-0"}, r.came()); diff != "" {
		t.Errorf("pods that come back after one look (-want +got):\n%s", diff)
	}
	r.wakeOutdated(klog.FromContext(t.Context()))
	if len(r.statesAt) != 0 {
		t.Errorf("kept after two looks: %v, want nothing", r.statesAt)
	}
}

// Between the look at the pods and their return, a pod may be bound, or fail another attempt that saw what had changed.
func TestPodsThatWaitNoLongerDoNotComeBack(t *testing.T) {
	r := newRoom(t)
	r.set("data", known(inSync("a1")))
	r.fails("bound", "data")
	r.fails("tried", "data")
	waiters := slices.Collect(maps.Values(r.pods))
	r.forget("bound")
	r.fails("tried", "data")
	r.bringBack(klog.FromContext(t.Context()), waiters...)
	if came := r.came(); came != nil {
		t.Errorf("%v come back, want none", came)
	}
}

// What a storage system said grows too old, or counts again after the clock jumped, without a word.
func TestPodsComeBackWithoutWord(t *testing.T) {
	r := newRoom(t)
	r.fails("db-0", "data")
	r.set("same", known(inSync("a1")))
	r.fails("db-1", "same")
	go r.run(t.Context())
	waitUntil(t, r.clock.HasWaiters)
	r.set("data", known(inSync("a1")))
	r.clock.Step(plugins.LookInterval)
	var came []string
	waitUntil(t, func() bool {
		came = append(came, r.came()...)
		return len(came) > 0
	})
	if diff := cmp.Diff([]string{"default/db-0"}, came); diff != "" {
		t.Errorf("pods that come back (-want +got):\n%s", diff)
	}
	r.set("same", known(inSync("b1")))
	r.change(drivers.Change{Volume: idOf("same")})
	waitUntil(t, func() bool { return slices.Equal(r.came(), []string{"default/db-1"}) })
}

// TestWaitingInThePlugin has the plugin itself place pods, be told of storage, and forget.
func TestWaitingInThePlugin(t *testing.T) {
	driver := &memory{locations: map[string]drivers.Location{"handle-of-data": inSync("a1")}}
	pod := annotated(podUsing("data", "unknown"), "Required")
	f := newFixture(t, world{nodes: sixNodes(), objects: append(append(claimAndPV("data"), claimAndPV("unknown")...), pod), driver: driver})
	fails := func() {
		t.Helper()
		_, state := f.attempt(pod)
		f.pl.PostFilter(t.Context(), state, pod, framework.NewDefaultNodeToStatus())
	}
	fails()
	driver.locations["handle-of-unknown"] = inSync("a1")
	driver.say(drivers.Change{Volume: idOf("handle-of-unknown")})
	f.pl.waiting.wakeChanged(klog.FromContext(t.Context()))
	if diff := cmp.Diff([]string{"db-0"}, f.activator.activated); diff != "" {
		t.Errorf("pods that come back (-want +got):\n%s", diff)
	}
	fails()
	f.pl.PostBind(t.Context(), framework.NewCycleState(), pod, "a1")
	if len(f.pl.waiting.pods) != 0 {
		t.Error("a pod that is bound still waits")
	}
	fails()
	if err := f.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool {
		f.pl.waiting.mu.Lock()
		defer f.pl.waiting.mu.Unlock()
		return len(f.pl.waiting.pods) == 0
	})
}

// Attempts fail while volumes move. Whatever the order, no pod waits in the end that saw its volume elsewhere than it is.
func TestNoMoveIsLostBetweenManyPods(t *testing.T) {
	const rounds = 200
	pods := []string{"db-0", "db-1", "db-2", "db-3"}
	r := newRoom(t)
	r.set("data", known(inSync("a1")))
	go r.run(t.Context())
	for i := range rounds {
		var group sync.WaitGroup
		group.Go(func() {
			r.set("data", known(inSync([]string{"a1", "b1"}[i%2])))
			r.change(drivers.Change{Volume: idOf("data")})
		})
		for _, name := range pods {
			group.Go(func() { r.fails(name, "data") })
		}
		group.Wait()
		waitUntil(t, func() bool {
			r.waiting.mu.Lock()
			waiters := slices.Collect(maps.Values(r.pods))
			r.waiting.mu.Unlock()
			return len(r.outdated(waiters)) == 0
		})
	}
}
