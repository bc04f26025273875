// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	testingclock "k8s.io/utils/clock/testing"
)

// queue stands for the scheduler's queue, as far as watchPods sees it.
type queue struct {
	fwk.Handle

	mu        sync.Mutex
	activated []string
}

func (q *queue) Activate(_ klog.Logger, pods map[string]*corev1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, pod := range pods {
		q.activated = append(q.activated, pod.Name)
	}
}

func (q *queue) has(names ...string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Equal(q.activated, names)
}

// unscheduled is a pod whose last attempt failed with the message.
func unscheduled(name, message string) *corev1.Pod {
	pod := podUsing()
	pod.Name, pod.UID = name, types.UID(name)
	if message != "" {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: message}}
	}
	return pod
}

// watched is a plugin that follows the pods of a source, and has seen those that are in it.
func watched(t *testing.T, pods ...*corev1.Pod) (*VolumeLocality, *queue, *cachetesting.FakeControllerSource) {
	t.Helper()
	source := cachetesting.NewFakeControllerSource()
	for _, pod := range pods {
		source.Add(pod)
	}
	q := &queue{}
	informer := cache.NewSharedIndexInformer(source, &corev1.Pod{}, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	lister, testClock := corelisters.NewPodLister(informer.GetIndexer()), testingclock.NewFakeClock(testEpoch)
	pl := &VolumeLocality{
		handle: q, pods: lister, clock: testClock, levels: newLevels(), firsts: newFirsts(), alarms: newAlarms(testClock, lister, q.Activate),
		waiting: newWaiting(waitingOptions{}), roomless: newRoomless(lister),
	}
	if err := pl.watchPods(klog.FromContext(t.Context()), informer); err != nil {
		t.Fatalf("watchPods: %v", err)
	}
	go informer.RunWithContext(t.Context())
	waitUntil(t, informer.HasSynced)
	return pl, q, source
}

func TestAPodComesBackWhenItsStatusSaysSo(t *testing.T) {
	_, q, source := watched(t, unscheduled("widened", ""), unscheduled("full", ""), unscheduled("last", ""))
	source.Modify(unscheduled("full", "0/3 nodes are available: 3 Insufficient cpu."))
	source.Modify(unscheduled("widened", "0/3 nodes are available: 1 Insufficient cpu. "+reasonWidening))
	// A change of something else does not bring the pod back once more.
	again := unscheduled("widened", "0/3 nodes are available: 1 Insufficient cpu. "+reasonWidening)
	again.Labels = map[string]string{"changed": "true"}
	source.Modify(again)
	source.Modify(unscheduled("last", reasonWidening))
	waitUntil(t, func() bool { return q.has("widened", "last") })
}

func TestLevelsAreForgottenWithTheirPods(t *testing.T) {
	gone, stays := unscheduled("gone", ""), unscheduled("stays", "")
	pl, _, source := watched(t, gone, stays)
	pl.levels.set(gone.UID, 2)
	pl.levels.set(stays.UID, 2)
	source.Delete(gone)
	waitUntil(t, func() bool { return pl.levels.of(gone.UID) == 0 })
	if got := pl.levels.of(stays.UID); got != 2 {
		t.Errorf("level of a pod that was not deleted = %d, want 2", got)
	}
}
