// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	testingclock "k8s.io/utils/clock/testing"
)

// clockTower are alarms with a clock that a test moves, and a queue that records who is woken.
type clockTower struct {
	*alarms
	t       *testing.T
	clock   *testingclock.FakeClock
	queue   *queue
	indexer cache.Indexer
}

func newClockTower(t *testing.T, pods ...*corev1.Pod) *clockTower {
	t.Helper()
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, pod := range pods {
		if err := indexer.Add(pod); err != nil {
			t.Fatalf("adding pod %s: %v", pod.Name, err)
		}
	}
	c := &clockTower{t: t, clock: testingclock.NewFakeClock(testEpoch), queue: &queue{}, indexer: indexer}
	c.alarms = newAlarms(c.clock, corelisters.NewPodLister(indexer), c.queue.Activate)
	return c
}

// at moves the clock, and returns who is woken then.
func (c *clockTower) at(after time.Duration) []string {
	c.t.Helper()
	c.clock.SetTime(testEpoch.Add(after))
	c.queue.activated = nil
	c.ring(klog.FromContext(c.t.Context()))
	slices.Sort(c.queue.activated)
	return c.queue.activated
}

func TestAPodIsWokenWhenItsWaitIsOver(t *testing.T) {
	one, two := unscheduled("one", ""), unscheduled("two", "")
	c := newClockTower(t, one, two)
	c.set(one, testEpoch.Add(time.Minute))
	c.set(two, testEpoch.Add(2*time.Minute))
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{time.Minute - 1, nil},
		{time.Minute, []string{"one"}},
		// It may have been in flight, where waking it does nothing.
		{time.Minute + time.Millisecond, nil},
		{time.Minute + 250*time.Millisecond, []string{"one"}},
		{time.Minute + time.Second, []string{"one"}},
		{time.Minute + 30*time.Second, nil},
		{10 * time.Minute, []string{"two"}},
	} {
		if diff := cmp.Diff(step.want, c.at(step.after)); diff != "" {
			t.Errorf("woken after %s (-want +got):\n%s", step.after, diff)
		}
	}
}

func TestAnAlarmDoesNotRing(t *testing.T) {
	bound, another := unscheduled("pod", ""), unscheduled("pod", "")
	bound.Spec.NodeName, another.UID = "a1", "another"
	replaced := func(c *clockTower, pod *corev1.Pod) {
		if err := c.indexer.Update(pod); err != nil {
			c.t.Fatalf("replacing the pod: %v", err)
		}
	}
	tests := map[string]func(*clockTower, *corev1.Pod){
		"for a pod that was tried since, or is bound": func(c *clockTower, pod *corev1.Pod) { c.forget(pod.UID) },
		"for a pod that another scheduler bound":      func(c *clockTower, _ *corev1.Pod) { replaced(c, bound) },
		"for another pod of its name":                 func(c *clockTower, _ *corev1.Pod) { replaced(c, another) },
		"at a time that was set before":               func(c *clockTower, pod *corev1.Pod) { c.set(pod, testEpoch.Add(time.Hour)) },
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			pod := unscheduled("pod", "")
			c := newClockTower(t, pod)
			c.set(pod, testEpoch.Add(time.Minute))
			happens(c, pod)
			if got := c.at(time.Minute); len(got) > 0 {
				t.Errorf("woken: %v, want none", got)
			}
		})
	}
}

func TestAlarmsAreForgottenWhenTheyHaveRung(t *testing.T) {
	pod, gone := unscheduled("pod", ""), unscheduled("gone", "")
	c := newClockTower(t, pod)
	c.set(pod, testEpoch)
	c.set(gone, testEpoch)
	c.at(0)
	c.at(time.Minute)
	c.at(2 * time.Minute)
	if len(c.byPod) > 0 {
		t.Errorf("%d alarms are kept, want 0", len(c.byPod))
	}
}

// TestAnAlarmThatIsNextRingsFirst runs the goroutine: an alarm that is set later and is due earlier moves the timer.
func TestAnAlarmThatIsNextRingsFirst(t *testing.T) {
	late, early := unscheduled("late", ""), unscheduled("early", "")
	c := newClockTower(t, late, early)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	c.set(late, testEpoch.Add(time.Hour))
	waitUntil(t, c.clock.HasWaiters)
	c.set(early, testEpoch.Add(time.Minute))
	waitUntil(t, func() bool {
		// The timer of the one is replaced by that of the other at some time from now on.
		c.clock.SetTime(testEpoch.Add(time.Minute))
		return c.queue.has("early")
	})
}
