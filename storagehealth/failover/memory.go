// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// askAgain is how long after a PodDisruptionBudget forbade an eviction it is asked for again.
const askAgain = 5 * time.Second

// memory is what a mover remembers of pods that the API server does not have.
type memory struct {
	// forbidden are the pods that a PodDisruptionBudget keeps.
	forbidden map[types.UID]refusal
	// told are the pods of which a dry run has spoken.
	told sets.Set[types.UID]
	// asked are the pods that were asked to leave.
	asked sets.Set[types.UID]
}

// refusal is what is known of a pod that a PodDisruptionBudget keeps.
type refusal struct {
	since, last time.Time
	node        string
	message     string
}

func newMemory() memory {
	return memory{forbidden: map[types.UID]refusal{}, told: sets.New[types.UID](), asked: sets.New[types.UID]()}
}

// Forget ends what is remembered of a pod that is gone.
func (m *Mover) Forget(pod types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.memory.forbidden, pod)
	m.memory.told.Delete(pod)
	m.memory.asked.Delete(pod)
}

// Calm ends the deadlines of the node's pods: nothing of theirs is being moved any more, and the next failure is another.
func (m *Mover) Calm(node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid, r := range m.memory.forbidden {
		if r.node == node {
			delete(m.memory.forbidden, uid)
		}
	}
}

// refused notes that a PodDisruptionBudget forbade the eviction, and returns since when it has.
func (m *Mover) refused(pod *corev1.Pod, message string) refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	r, known := m.memory.forbidden[pod.UID]
	if !known {
		r = refusal{since: now, node: pod.Spec.NodeName}
	}
	r.last, r.message = now, message
	m.memory.forbidden[pod.UID] = r
	return r
}

// justRefused says that a PodDisruptionBudget forbade the eviction a moment ago.
func (m *Mover) justRefused(pod types.UID) (refusal, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.memory.forbidden[pod]
	age := m.clock.Since(r.last)
	return r, known && age >= 0 && age < askAgain
}

// ask notes that the pod was asked to leave.
func (m *Mover) ask(pod types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.memory.forbidden, pod)
	m.memory.asked.Insert(pod)
}

func (m *Mover) wasAsked(pod types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memory.asked.Has(pod)
}

// firstTold says that a dry run has not said yet what it would do with the pod.
func (m *Mover) firstTold(pod types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.memory.told.Has(pod)
	m.memory.told.Insert(pod)
	return !known
}
