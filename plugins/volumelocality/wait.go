// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"errors"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality"
)

// EventReasonBadWait is the reason of the event about an annotation whose value is no wait.
const EventReasonBadWait = "InvalidLocalityWait"

// reasonOf is the reason of the event about a complaint.
func reasonOf(complaint error) string {
	if bad := (*volumelocality.BadWaitError)(nil); errors.As(complaint, &bad) {
		return EventReasonBadWait
	}
	return EventReasonBadPolicy
}

// addWait has the pod wait as long as the last volume of the state says, where it is Preferred and its location is known.
func (pl *VolumeLocality) addWait(s *cycleState, pod *corev1.Pod, r *podvolumes.Volume) {
	if v := &s.volumes[len(s.volumes)-1]; v.Policy != volumelocality.Preferred || !v.Known {
		return
	}
	sources := annotatedOf(pod, r)
	wait, bad := volumelocality.WaitOf(sources[:]...)
	s.wait = max(s.wait, wait)
	// What is wrong on the pod is so for each of its volumes, and is said once.
	if bad != nil && !slices.ContainsFunc(s.complaints, func(known error) bool { return known.Error() == bad.Error() }) {
		s.complaints = append(s.complaints, bad)
	}
}

// hold notes until when the attempt is held to the data nodes. An attempt at another level is not: there is no data node, or
// another plugin keeps the pod off all of them, and to wait would be for nothing.
func (pl *VolumeLocality) hold(pod *corev1.Pod, s *cycleState, level volumelocality.Level) {
	if s.wait == 0 {
		return
	}
	now := pl.clock.Now()
	until := pl.firstAttempt(pod, now).Add(s.wait)
	if !until.After(now) {
		pl.alarms.forget(pod.UID)
		return
	}
	if level == volumelocality.LevelData {
		s.until = until
	}
}

// firstAttempt is when the pod was first tried.
func (pl *VolumeLocality) firstAttempt(pod *corev1.Pod, now time.Time) time.Time {
	if first, ok := pl.firsts.of(pod.UID); ok {
		return first
	}
	first := now
	if failed, ok := firstFailure(pod); ok && failed.Before(now) {
		first = failed
	}
	pl.firsts.set(pod.UID, first)
	if !pl.exists(pod) {
		pl.firsts.forget(pod.UID)
	}
	return first
}

// exists says that the pod was not deleted meanwhile. What is remembered of one that was must be forgotten by whoever
// remembers it: nobody comes for it any more.
func (pl *VolumeLocality) exists(pod *corev1.Pod) bool {
	return plugins.Exists(pl.pods, pod)
}

// firstFailure is when the scheduler, or one before a restart, first found no node for the pod. The condition's time stays
// while the pod is unscheduled, whatever its message.
//
// While a pod is gated that is the time of the gate, and counts for nothing. Afterwards the time is the same and the reason
// is another, so that nothing tells it from a failure: after a restart the wait of a pod that was gated ends early rather
// than late.
func firstFailure(pod *corev1.Pod) (time.Time, bool) {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason != corev1.PodReasonSchedulingGated {
			return c.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}

// firsts remembers when pods that wait were first tried, until they are bound or deleted.
type firsts struct {
	mu    sync.Mutex
	byPod map[types.UID]time.Time
}

func newFirsts() *firsts {
	return &firsts{byPod: map[types.UID]time.Time{}}
}

func (f *firsts) of(pod types.UID) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, ok := f.byPod[pod]
	return first, ok
}

func (f *firsts) set(pod types.UID, first time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byPod[pod] = first
}

func (f *firsts) forget(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byPod, pod)
}
