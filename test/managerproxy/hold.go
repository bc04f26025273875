// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package managerproxy

import "sync"

// Hold keeps a write from the API server.
type Hold struct {
	// Held is closed when the write is there.
	Held chan struct{}

	which    func(Call) bool
	passes   bool
	released chan struct{}
	once     sync.Once
}

// HoldFirst holds the first write that which is true for. With passes the API server sees it when it is released; otherwise it is
// answered 503, as if it had never been sent.
func (p *Proxy) HoldFirst(which func(Call) bool, passes bool) *Hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = &Hold{which: which, passes: passes, Held: make(chan struct{}), released: make(chan struct{})}
	return p.hold
}

// Release goes on with the write. It may be called more than once.
func (h *Hold) Release() { h.once.Do(func() { close(h.released) }) }
