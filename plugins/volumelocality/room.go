// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"

	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality/pools"
)

// shortage makes a pod wait for room, at most once in a cycle, and only when it first meets a node without.
type shortage struct{ once sync.Once }

// roomless are the pods that met a node without room for their claims, until they are bound or deleted. Not every pool that
// grows is an event of the scheduler's queue: a pod that did not get its node gives its room back silently.
type roomless struct {
	pods corelisters.PodLister

	mu    sync.Mutex
	byUID map[types.UID]roomlessPod
}

type roomlessPod struct {
	pod *corev1.Pod
	// smallest is by class what the smallest claim needs that has no room yet.
	smallest map[string]int64
}

func newRoomless(pods corelisters.PodLister) *roomless {
	return &roomless{pods: pods, byUID: map[types.UID]roomlessPod{}}
}

// add has the pod wait, unless it was deleted meanwhile: then nobody would come to forget it.
func (r *roomless) add(pod *corev1.Pod, requests []*pools.Request) {
	smallest := map[string]int64{}
	for _, request := range requests {
		if bytes, ok := request.Smallest(); ok {
			smallest[request.Class()] = bytes
		}
	}
	r.mu.Lock()
	r.byUID[pod.UID] = roomlessPod{pod: pod, smallest: smallest}
	r.mu.Unlock()
	if !plugins.Exists(r.pods, pod) {
		r.forget(pod.UID)
	}
}

func (r *roomless) forget(pod types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byUID, pod)
}

// take returns, no longer waiting, the pods that may have room in a pool of the class with so much free.
func (r *roomless) take(class string, free int64) map[string]*corev1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := map[string]*corev1.Pod{}
	for uid, waiting := range r.byUID {
		if smallest, ok := waiting.smallest[class]; ok && smallest <= free {
			taken[klog.KObj(waiting.pod).String()] = waiting.pod
			delete(r.byUID, uid)
		}
	}
	return taken
}

// watchRoom brings pods back when a pool grows.
func (pl *VolumeLocality) watchRoom(logger klog.Logger) {
	pl.pools.Memory().Subscribe(func(class string, free int64) {
		if woken := pl.roomless.take(class, free); len(woken) > 0 {
			logger.V(4).Info("A storage pool has more room; trying the pods that waited for it", "pods", len(woken), "storageClass", class)
			pl.handle.Activate(logger, woken)
		}
	})
}

// hasRoom says that the pod's claims fit on a node with these labels. It allocates nothing where they do.
func (pl *VolumeLocality) hasRoom(s *cycleState, pod *corev1.Pod, node map[string]string) bool {
	if fit(s.requests, node) {
		return true
	}
	pl.waitForRoom(s, pod)
	// Asked again, because room that came before the pod waited brings nobody back.
	return fit(s.requests, node)
}

func (pl *VolumeLocality) waitForRoom(s *cycleState, pod *corev1.Pod) {
	s.shortage.once.Do(func() { pl.roomless.add(pod, s.requests) })
}

func fit(requests []*pools.Request, node map[string]string) bool {
	for _, r := range requests {
		if !r.Fits(node) {
			return false
		}
	}
	return true
}
