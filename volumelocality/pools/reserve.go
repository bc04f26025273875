// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Request returns what the claims, all of one class, need of a node. It is nil where there is nothing to find out: no claim
// needs any room, or one may be bound to a volume that is there already.
func (m *Memory) Request(className string, claims []Claim) *Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &Request{class: className}
	var needing []Claim
	for _, claim := range claims {
		switch {
		case claim.Bytes <= 0:
		case m.assumed[claim.UID] != nil:
			r.promised = append(r.promised, claim.UID)
		default:
			needing = append(needing, claim)
		}
	}
	if len(needing) == 0 && len(r.promised) == 0 {
		return nil
	}
	r.need(needing)
	c := m.class(className)
	defer m.tidy(className)
	if smallest, ok := r.Smallest(); ok && c.mayHave(smallest) {
		return nil
	}
	r.index = m.indexOf(c)
	return r
}

// Assume promises the pod's claims their room on the node. It is false, and nothing is promised, where the room has gone
// since the node was found.
func (m *Memory) Assume(pod types.UID, node string, requests ...*Request) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	var places [][]*pool
	for _, r := range requests {
		chosen := make([]*pool, len(r.claims))
		pools := m.indexOf(m.class(r.class)).appendPools(nil, m.labelsOf(node))
		if len(pools) > 0 && !assign(pools, r.sizes, chosen) {
			return false
		}
		places = append(places, chosen)
	}
	for i, r := range requests {
		for j, claim := range r.claims {
			m.assume(pod, node, r.class, claim, places[i][j])
		}
		for _, claim := range r.promised {
			if a := m.assumed[claim]; a != nil {
				a.hold(pod)
			}
		}
	}
	return true
}

func (m *Memory) assume(pod types.UID, node, class string, claim Claim, p *pool) {
	a := m.assumed[claim.UID]
	if a == nil {
		a = m.begin(&assumption{claim: claim.UID, class: class, node: node, bytes: claim.Bytes})
		if p != nil {
			m.place(a, p)
		}
	}
	a.hold(pod)
}

// Release takes back what Assume promised for the pod. What a claim was promised stays where the claim still names the node, or
// another pod holds it.
func (m *Memory) Release(pod types.UID, requests ...*Request) {
	m.update(func(now time.Time) {
		for _, r := range requests {
			for _, claim := range r.claims {
				m.release(pod, claim.UID, now)
			}
			for _, claim := range r.promised {
				m.release(pod, claim, now)
			}
		}
	})
}

func (m *Memory) release(pod, claim types.UID, now time.Time) {
	if a := m.assumed[claim]; a != nil {
		a.release(pod)
		m.endIfOver(a, now)
	}
}

// Run looks at the limits until ctx is done.
func (m *Memory) Run(ctx context.Context) {
	ticker := m.clock.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			m.update(m.expire)
		}
	}
}

func (m *Memory) expire(now time.Time) {
	for _, a := range m.assumed {
		if now.Sub(a.since) >= OverallLimit && a.bytes > 0 {
			// It is not forgotten: the claim is still there, and the next that is heard of it would count it again.
			a.bytes = 0
			m.settleUp(a.pool)
		}
		m.endIfOver(a, now)
	}
}

// begin remembers a new assumption, which no pool is known of yet.
func (m *Memory) begin(a *assumption) *assumption {
	a.since = m.clock.Now()
	m.assumed[a.claim] = a
	m.class(a.class).unplaced[a] = true
	return a
}

// place counts the assumption against the pool.
func (m *Memory) place(a *assumption, p *pool) {
	delete(m.class(a.class).unplaced, a)
	a.pool = p
	at := len(p.promised)
	for at > 0 && p.promised[at-1].since.After(a.since) {
		at--
	}
	p.promised = slices.Insert(p.promised, at, a)
	m.settleUp(p)
}

func (m *Memory) endIfOver(a *assumption, now time.Time) {
	if a.isOver(now) {
		m.end(a)
	}
}

// end forgets the assumption.
func (m *Memory) end(a *assumption) {
	delete(m.assumed, a.claim)
	if c, ok := m.classes[a.class]; ok {
		delete(c.unplaced, a)
	}
	if p := a.pool; p != nil {
		p.promised = slices.DeleteFunc(p.promised, func(other *assumption) bool { return other == a })
		m.settleUp(p)
	}
	m.tidy(a.class)
}
