// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"roost.dev/roost/plugins"
)

// maxParts is how many nodes are remembered of a pod. One that was kept off more comes back for any node.
const maxParts = 16

// waiter is a pod in one scheduling cycle, and the faults that kept it off nodes. It is safe for concurrent use.
type waiter struct {
	pod      *corev1.Pod
	storages []storage

	// many says that there are more faults than parts.
	many  atomic.Bool
	mu    sync.Mutex
	parts []part
}

func (w *waiter) note(p part) {
	if w.many.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case slices.Contains(w.parts, p):
	case len(w.parts) == maxParts:
		w.many.Store(true)
	default:
		w.parts = append(w.parts, p)
	}
}

// waitsFor says that one of the parts may be what the pod waits for.
func (w *waiter) waitsFor(parts map[part]bool) bool {
	if w.many.Load() {
		for p := range parts {
			if slices.ContainsFunc(w.storages, func(s storage) bool { return s.provisioner == p.provisioner }) {
				return true
			}
		}
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.parts, func(p part) bool { return parts[p] })
}

// waitingOptions are what waiting asks and tells. All are required.
type waitingOptions struct {
	clock clock.WithTicker
	// usable says that pods can run there. It answers from memory.
	usable func(part) bool
	// exists says that the pod has not been deleted.
	exists func(*corev1.Pod) bool
	// activate takes pods out of back-off, by namespace and name.
	activate func(klog.Logger, map[string]*corev1.Pod)
}

// waiting remembers the pods that faults kept off nodes, until one of the faults is over, or the pod is bound or deleted.
// No event of Kubernetes tells the scheduler that a fault is over.
type waiting struct {
	waitingOptions
	look plugins.Look

	mu   sync.RWMutex
	pods map[types.UID]*waiter
	// faulty are the parts that keep a pod off a node: at most one a provisioner and node.
	faulty map[part]bool
}

func newWaiting(options waitingOptions) *waiting {
	return &waiting{
		waitingOptions: options, look: plugins.NewLook(), pods: map[types.UID]*waiter{}, faulty: map[part]bool{},
	}
}

// add has the pod wait for the part. It takes the lock for writing once a pod and once a part.
func (q *waiting) add(w *waiter, p part) {
	w.note(p)
	q.mu.RLock()
	known := q.pods[w.pod.UID] == w && q.faulty[p]
	q.mu.RUnlock()
	if known {
		return
	}
	q.mu.Lock()
	q.pods[w.pod.UID] = w
	q.faulty[p] = true
	q.mu.Unlock()
	if !q.exists(w.pod) {
		// It was deleted during its cycle, and nobody would come to forget it.
		q.forget(w.pod.UID)
	}
}

func (q *waiting) forget(pod types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.pods, pod)
}

// changed is told of every change of any storage. It does not block.
func (q *waiting) changed(p part) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.faulty[p] {
		q.look.Soon()
	}
}

// run brings pods back until ctx is done.
func (q *waiting) run(ctx context.Context) {
	q.look.Run(ctx, q.clock, q.wake, q.wake)
}

// wake brings back the pods that wait for a part that is usable now.
func (q *waiting) wake(logger klog.Logger) {
	q.mu.RLock()
	faulty := slices.Collect(maps.Keys(q.faulty))
	q.mu.RUnlock()
	usable := map[part]bool{}
	for _, p := range faulty {
		if q.usable(p) {
			usable[p] = true
		}
	}
	if woken := q.take(usable); len(woken) > 0 {
		logger.V(4).Info("Storage is well again; trying the pods that waited for it", "pods", len(woken), "nodes", len(usable))
		q.activate(logger, woken)
	}
}

// take forgets the parts and returns, no longer waiting, the pods that wait for one of them.
func (q *waiting) take(usable map[part]bool) map[string]*corev1.Pod {
	q.mu.Lock()
	defer q.mu.Unlock()
	woken := map[string]*corev1.Pod{}
	for uid, w := range q.pods {
		if w.waitsFor(usable) {
			woken[klog.KObj(w.pod).String()] = w.pod
			delete(q.pods, uid)
		}
	}
	for p := range usable {
		delete(q.faulty, p)
	}
	if len(q.pods) == 0 {
		clear(q.faulty)
	}
	return woken
}
