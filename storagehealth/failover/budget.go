// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// window is what the budget is counted over.
const window = time.Minute

// budget counts the pods that were moved in the last minute. A pod counts once a minute, however many steps it takes.
type budget struct {
	limit int
	clock clock.PassiveClock

	mu    sync.Mutex
	moved map[types.UID]time.Time
}

func newBudget(limit int, clock clock.PassiveClock) *budget {
	return &budget{limit: limit, clock: clock, moved: map[types.UID]time.Time{}}
}

// take is false where as many pods as may be were moved in the last minute, this one not among them. What was taken for a
// pod that did not move after all is given back by undo.
func (b *budget) take(pod types.UID) (undo func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	b.expire(now)
	if _, counted := b.moved[pod]; counted {
		return func() {}, true
	}
	if len(b.moved) >= b.limit {
		return nil, false
	}
	b.moved[pod] = now
	return func() { b.giveBack(pod) }, true
}

// hasRoom says that all the pods could be taken now.
func (b *budget) hasRoom(pods []types.UID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(b.clock.Now())
	more := 0
	for _, pod := range pods {
		if _, counted := b.moved[pod]; !counted {
			more++
		}
	}
	return len(b.moved)+more <= b.limit
}

// expire drops what was taken more than a minute ago. It is called with the lock held.
func (b *budget) expire(now time.Time) {
	for uid, at := range b.moved {
		if age := now.Sub(at); age >= window || age < 0 {
			delete(b.moved, uid)
		}
	}
}

func (b *budget) giveBack(pod types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.moved, pod)
}
