// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality"
)

// waiter is a pod that found no node, and what its attempt saw of its volumes. It does not change.
type waiter struct {
	pod     *corev1.Pod
	volumes []volumelocality.Volume
}

// changes are those that may help the pod: of its volumes, and of the storage on its data nodes. Any node of a storage
// system can bring word of a volume that is not known.
func (w *waiter) changes() iter.Seq[drivers.Change] {
	return func(yield func(drivers.Change) bool) {
		for i := range w.volumes {
			v := &w.volumes[i]
			if !yield(drivers.Change{Volume: v.ID}) {
				return
			}
			if !v.Known && !yield(drivers.Change{Provisioner: v.ID.Provisioner}) {
				return
			}
			for _, r := range v.Location.Replicas {
				if r.State == drivers.InSync && !yield(drivers.Change{Provisioner: v.ID.Provisioner, Node: r.Node}) {
					return
				}
			}
		}
	}
}

// outdated says that the pod's volumes are not where its attempt saw them: other nodes would be in play now. Replicas that
// are being filled, and attachments, decide about scores only.
func (w *waiter) outdated(locate func(drivers.VolumeID) drivers.Answer) bool {
	return slices.ContainsFunc(w.volumes, func(v volumelocality.Volume) bool {
		now := locate(v.ID)
		isKnown := now.Knowledge == drivers.Known
		return isKnown != v.Known || isKnown && !sameDataNodes(now.Location, v.Location)
	})
}

func sameDataNodes(a, b drivers.Location) bool {
	lacks := func(l drivers.Location) func(drivers.Replica) bool {
		return func(r drivers.Replica) bool { return r.State == drivers.InSync && !isInSync(l, r.Node) }
	}
	return !slices.ContainsFunc(a.Replicas, lacks(b)) && !slices.ContainsFunc(b.Replicas, lacks(a))
}

// bounds says that the plugin had a part in it where the attempt found no node: a Required volume was not known, or not all
// nodes were in play.
func (s *cycleState) bounds() bool {
	if s.plan == nil {
		return isRequiredUnknown(s.volumes)
	}
	return !s.attempt.All
}

// waitingOptions are what waiting asks and tells. All are required.
type waitingOptions struct {
	clock clock.WithTicker
	// locate answers from memory.
	locate func(drivers.VolumeID) drivers.Answer
	// exists says that the pod has not been deleted.
	exists func(*corev1.Pod) bool
	// activate takes pods out of back-off, by namespace and name.
	activate func(klog.Logger, map[string]*corev1.Pod)
}

// waiting remembers pods that found no node, until their data is elsewhere, or they are bound or deleted. No event of
// Kubernetes tells the scheduler of data.
type waiting struct {
	waitingOptions
	look plugins.Look
	// count is how many changes there were.
	count atomic.Uint64

	mu   sync.Mutex
	pods map[types.UID]*waiter
	// byChange are the same pods, by what may help them.
	byChange map[drivers.Change]map[types.UID]*waiter
	// changed are the changes that may help a pod and have not been looked at.
	changed map[drivers.Change]bool
	// statesAt are the counts of the last change of the storage on a node, for as long as an attempt may have missed it.
	statesAt map[drivers.Change]uint64
	// looked is the count at the last look without a word.
	looked uint64
}

func newWaiting(options waitingOptions) *waiting {
	return &waiting{
		waitingOptions: options, look: plugins.NewLook(), pods: map[types.UID]*waiter{}, byChange: map[drivers.Change]map[types.UID]*waiter{},
		changed: map[drivers.Change]bool{}, statesAt: map[drivers.Change]uint64{},
	}
}

// newWaiting makes the plugin's waiting, which is told of storage from then on.
func (pl *VolumeLocality) newWaiting() *waiting {
	q := newWaiting(waitingOptions{clock: pl.clock, locate: pl.registry.Locate, exists: pl.exists, activate: pl.handle.Activate})
	pl.registry.Subscribe(q.change)
	return q
}

// now is taken before an attempt looks at anything.
func (q *waiting) now() uint64 {
	return q.count.Load()
}

// note has a pod wait whose attempt found no node, where the plugin had a part in that. A change during the attempt, that
// the attempt did not see and that came before the pod waited, brings it back at once.
func (q *waiting) note(logger klog.Logger, pod *corev1.Pod, s *cycleState) {
	if !s.bounds() {
		q.forget(pod.UID)
		return
	}
	w := &waiter{pod: pod, volumes: s.volumes}
	if missed := q.add(w, s.since); missed || w.outdated(q.locate) {
		q.bringBack(logger, w)
	}
	if !q.exists(pod) {
		// It was deleted during its attempt, and nobody would come to forget it.
		q.forget(pod.UID)
	}
}

// add says that the storage on a data node has changed since the attempt began.
func (q *waiting) add(w *waiter, since uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(w.pod.UID)
	q.pods[w.pod.UID] = w
	missed := false
	for c := range w.changes() {
		if q.byChange[c] == nil {
			q.byChange[c] = map[types.UID]*waiter{}
		}
		q.byChange[c][w.pod.UID] = w
		missed = missed || q.statesAt[c] > since
	}
	return missed
}

func (q *waiting) forget(pod types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(pod)
}

// remove forgets a pod. The caller holds mu.
func (q *waiting) remove(pod types.UID) {
	w := q.pods[pod]
	if w == nil {
		return
	}
	delete(q.pods, pod)
	for c := range w.changes() {
		delete(q.byChange[c], pod)
		if len(q.byChange[c]) == 0 {
			delete(q.byChange, c)
		}
	}
}

// change is told of every change of any storage. It does not block: nobody holds mu while asking anything.
func (q *waiting) change(c drivers.Change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count := q.count.Add(1)
	concerned := []drivers.Change{{Volume: c.Volume}}
	if c.Node != "" {
		state := drivers.Change{Provisioner: c.Provisioner, Node: c.Node}
		q.statesAt[state] = count
		concerned = append(concerned, state, drivers.Change{Provisioner: c.Provisioner})
	}
	for _, c := range concerned {
		if len(q.byChange[c]) > 0 {
			q.changed[c] = true
			q.look.Soon()
		}
	}
}

// run brings pods back until ctx is done.
func (q *waiting) run(ctx context.Context) {
	q.look.Run(ctx, q.clock, q.wakeChanged, q.wakeOutdated)
}

// wakeChanged brings back the pods that the changes help.
func (q *waiting) wakeChanged(logger klog.Logger) {
	var outdated, perhaps []*waiter
	q.mu.Lock()
	for c := range q.changed {
		for _, w := range q.byChange[c] {
			if c.Node != "" {
				outdated = append(outdated, w)
			} else {
				perhaps = append(perhaps, w)
			}
		}
	}
	clear(q.changed)
	q.mu.Unlock()
	q.bringBack(logger, append(outdated, q.outdated(perhaps)...)...)
}

// wakeOutdated brings back the pods whose volumes became known, or unknown, without a word. No attempt lasts from one such look
// to the next, so that what changed before the last one has been seen.
func (q *waiting) wakeOutdated(logger klog.Logger) {
	q.mu.Lock()
	maps.DeleteFunc(q.statesAt, func(_ drivers.Change, at uint64) bool { return at <= q.looked })
	q.looked = q.count.Load()
	waiters := make([]*waiter, 0, len(q.pods))
	for _, w := range q.pods {
		waiters = append(waiters, w)
	}
	q.mu.Unlock()
	q.bringBack(logger, q.outdated(waiters)...)
}

func (q *waiting) outdated(waiters []*waiter) []*waiter {
	return slices.DeleteFunc(waiters, func(w *waiter) bool { return !w.outdated(q.locate) })
}

// bringBack activates those of the pods that still wait, and waits for them no longer. An attempt that fails again does.
func (q *waiting) bringBack(logger klog.Logger, waiters ...*waiter) {
	pods := map[string]*corev1.Pod{}
	q.mu.Lock()
	for _, w := range waiters {
		if q.pods[w.pod.UID] == w {
			q.remove(w.pod.UID)
			pods[klog.KObj(w.pod).String()] = w.pod
		}
	}
	q.mu.Unlock()
	if len(pods) > 0 {
		logger.V(4).Info("Storage has changed; trying the pods that waited for their data", "pods", len(pods))
		q.activate(logger, pods)
	}
}
