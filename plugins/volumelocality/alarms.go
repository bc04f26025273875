// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"roost.dev/roost/plugins"
)

// rings are when a pod is woken, after its wait is over. The queue only marks a pod that is in flight, and puts it into
// back-off all the same, for up to ten seconds; an attempt that began before the end is over by the second ring, or in a
// slow scheduler by the third. A pod that was tried meanwhile is not woken again.
var rings = [...]time.Duration{0, 250 * time.Millisecond, time.Second}

// alarm is one pod's. It has rung for the first rings.
type alarm struct {
	namespace, name string
	end             time.Time
	rung            int
}

func (a *alarm) next() time.Time {
	return a.end.Add(rings[a.rung])
}

// alarms bring pods back to the queue when their wait is over. Nothing of the cluster changes then, so that no event would.
type alarms struct {
	clock    clock.Clock
	pods     corelisters.PodLister
	activate func(klog.Logger, map[string]*corev1.Pod)
	look     plugins.Look

	mu    sync.Mutex
	byPod map[types.UID]*alarm
}

func newAlarms(c clock.Clock, pods corelisters.PodLister, activate func(klog.Logger, map[string]*corev1.Pod)) *alarms {
	return &alarms{clock: c, pods: pods, activate: activate, look: plugins.NewLook(), byPod: map[types.UID]*alarm{}}
}

// set has the pod woken when its wait ends, and not at another time that was set before.
func (a *alarms) set(pod *corev1.Pod, end time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.byPod[pod.UID]; known != nil && known.end.Equal(end) {
		return
	}
	a.byPod[pod.UID] = &alarm{namespace: pod.Namespace, name: pod.Name, end: end}
	a.look.Soon()
}

func (a *alarms) forget(pod types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byPod, pod)
}

// run wakes pods until ctx is done. It has one timer, for the alarm that is next.
func (a *alarms) run(ctx context.Context) {
	for {
		var due <-chan time.Time
		stop := func() {}
		if wait, ok := a.ring(klog.FromContext(ctx)); ok {
			timer := a.clock.NewTimer(wait)
			due, stop = timer.C(), func() { timer.Stop() }
		}
		select {
		case <-ctx.Done():
			stop()
			return
		case <-a.look:
		case <-due:
		}
		stop()
	}
}

// ring wakes the pods whose time has come, and returns how long it is until the next; false where there is none.
func (a *alarms) ring(logger klog.Logger) (time.Duration, bool) {
	woken, wait, ok := a.take(a.clock.Now())
	if len(woken) > 0 {
		logger.V(4).Info("The wait for data nodes is over", "pods", len(woken))
		a.activate(logger, woken)
	}
	return wait, ok
}

// take returns the pods whose alarm rings now. Those that are gone or bound, and those that have rung for the last time,
// are forgotten.
func (a *alarms) take(now time.Time) (woken map[string]*corev1.Pod, wait time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	woken = map[string]*corev1.Pod{}
	for uid, alarm := range a.byPod {
		if !alarm.next().After(now) {
			pod, err := a.pods.Pods(alarm.namespace).Get(alarm.name)
			if err != nil || pod.UID != uid || pod.Spec.NodeName != "" {
				delete(a.byPod, uid)
				continue
			}
			woken[klog.KObj(pod).String()] = pod
			if alarm.rung++; alarm.rung == len(rings) {
				delete(a.byPod, uid)
				continue
			}
		}
		if left := max(alarm.next().Sub(now), 0); !ok || left < wait {
			wait, ok = left, true
		}
	}
	return woken, wait, ok
}
