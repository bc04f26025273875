// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/storagehealth/verdict"
)

// askAgain is how long after a PodDisruptionBudget forbade an eviction it is asked for again.
const askAgain = 5 * time.Second

// memory is what a mover remembers of pods that the API server does not have.
type memory struct {
	// forbidden are the pods that a PodDisruptionBudget keeps, by the failure that they are to leave for.
	forbidden map[types.UID]map[verdict.Key]refusal
	// told are the pods of which a dry run has spoken.
	told sets.Set[types.UID]
	// asked are the pods that were asked to leave.
	asked sets.Set[types.UID]
}

// refusal is what is known of a pod that a PodDisruptionBudget keeps.
type refusal struct {
	since, last time.Time
	message     string
}

func newMemory() memory {
	return memory{forbidden: map[types.UID]map[verdict.Key]refusal{}, told: sets.New[types.UID](), asked: sets.New[types.UID]()}
}

// Forget ends what is remembered of a pod that is gone.
func (m *Mover) Forget(pod types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.memory.forbidden, pod)
	m.memory.told.Delete(pod)
	m.memory.asked.Delete(pod)
}

// Calm ends the deadlines of a failure that is over: nothing is moved for it any more, and the next one is another. Those of
// other drivers on the same node go on.
func (m *Mover) Calm(failure verdict.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid, refusals := range m.memory.forbidden {
		if delete(refusals, failure); len(refusals) == 0 {
			delete(m.memory.forbidden, uid)
		}
	}
}

// refused notes that a PodDisruptionBudget forbade the eviction, and returns since when it has.
func (m *Mover) refused(job *Job, pod *corev1.Pod, cause error) refusal {
	m.metrics.moved(job.Provisioner, methodEvict, resultRefused)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	of := m.memory.forbidden[pod.UID]
	if of == nil {
		of = map[verdict.Key]refusal{}
		m.memory.forbidden[pod.UID] = of
	}
	r, known := of[job.key()]
	if !known {
		r = refusal{since: now}
	}
	r.last, r.message = now, "a PodDisruptionBudget forbids the eviction: "+cause.Error()
	of[job.key()] = r
	return r
}

// overrides says that the configuration has the pod deleted by now in spite of its PodDisruptionBudget. Only one of the
// failed node may be.
func (m *Mover) overrides(r refusal, mayOverride bool) bool {
	return mayOverride && m.config.PDBPolicy == managerv1alpha1.DeleteAfterDeadline && m.clock.Since(r.since) >= m.config.PDBDeadline.Duration
}

// justRefused says that a PodDisruptionBudget forbade the eviction a moment ago.
func (m *Mover) justRefused(failure verdict.Key, pod types.UID) (refusal, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.memory.forbidden[pod][failure]
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
