// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// Reporter says what a storage system reports of its part on a node, from memory. *drivers.Registry is one.
type Reporter interface {
	NodeReport(provisioner, node string) drivers.NodeReport
}

var _ Reporter = (*drivers.Registry)(nil)

// Options is what a Board depends on.
type Options struct {
	Reporter Reporter
	Policy   Policy
	Clock    clock.PassiveClock
}

// Board holds the verdicts on all nodes of all storage systems in memory. It is safe for concurrent use. It asks the
// Reporter while it holds its lock, so a driver's subscriber must not call it: let that queue the key.
type Board struct {
	reporter Reporter
	policy   Policy
	clock    clock.PassiveClock

	mu sync.Mutex
	// nodes are by provisioner, then by name.
	nodes map[string]map[string]*node
}

// node is a storage system's part on a node.
type node struct {
	maintenance bool
	journal     Journal
}

// NewBoard returns a board that tracks nothing yet.
func NewBoard(opts Options) *Board {
	return &Board{reporter: opts.Reporter, policy: opts.Policy, clock: opts.Clock, nodes: map[string]map[string]*node{}}
}

// Track begins with the status that an earlier run left behind. Of a key that is tracked already it only takes the
// maintenance, and that has an effect on the verdict when the key is looked at next, on MayMove at once.
func (b *Board) Track(key Key, maintenance bool, journal storagev1alpha1.StorageNodeStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.node(key); n != nil {
		n.maintenance = maintenance
		return
	}
	if b.nodes[key.Provisioner] == nil {
		b.nodes[key.Provisioner] = map[string]*node{}
	}
	b.nodes[key.Provisioner][key.Node] = &node{maintenance: maintenance, journal: Restore(b.policy, b.clock.Now(), journal)}
}

// Forget drops what is known of the key.
func (b *Board) Forget(key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.nodes[key.Provisioner], key.Node)
	if len(b.nodes[key.Provisioner]) == 0 {
		delete(b.nodes, key.Provisioner)
	}
}

// Observe looks at the key's report at once, for when it changed. It is true when the verdict changed.
func (b *Board) Observe(key Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.node(key)
	if n == nil {
		return false
	}
	return b.look(key, n, b.clock.Now())
}

// Evaluate looks at the reports of all keys. It returns those whose verdict changed, in order, and when to evaluate
// again: in a ReportPeriod, or when a verdict changes by itself before that.
func (b *Board) Evaluate() (changed []Key, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	next = now.Add(b.policy.ReportPeriod)
	for provisioner, nodes := range b.nodes {
		for name, n := range nodes {
			key := Key{Provisioner: provisioner, Node: name}
			if b.look(key, n, now) {
				changed = append(changed, key)
			}
			if deadline, ok := n.journal.deadline(b.policy); ok {
				next = earlier(next, deadline)
			}
		}
	}
	slices.SortFunc(changed, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Provisioner, b.Provisioner), cmp.Compare(a.Node, b.Node))
	})
	return changed, next
}

// Verdict is the key's verdict when it was last looked at. It is false for a key that is not tracked.
func (b *Board) Verdict(key Key) (Verdict, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.node(key)
	if n == nil {
		return Verdict{}, false
	}
	return n.journal.Verdict, true
}

// MayMove says whether pods may be moved away from the node at this very moment: its verdict is that it failed, its
// report says now that it is Offline, and no brake holds. Otherwise it returns the brake that does. Reports are read
// anew, and what they say changes no verdict. Ask it before each write.
func (b *Board) MayMove(key Key) (Brake, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.node(key)
	if n == nil {
		return Brake{Reason: ReasonNotBad, Message: "The node has no such storage any more."}, false
	}
	m := move{policy: b.policy, verdict: n.journal.Verdict, obs: b.observe(key, n), fleet: b.fleet(key.Provisioner)}
	for _, check := range brakes {
		if brake, holds := check(m); holds {
			return brake, false
		}
	}
	return Brake{}, true
}

// SetFailedOver says that no pod is left on an Unhealthy node that could be moved away, or that there is one again. It
// has no effect in other states.
func (b *Board) SetFailedOver(key Key, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.node(key)
	if n == nil || !n.journal.Verdict.Failed() {
		return
	}
	state := storagev1alpha1.HealthUnhealthy
	if done {
		state = storagev1alpha1.HealthFailedOver
	}
	if n.journal.Verdict.State != state {
		n.journal.Verdict.State = state
		n.journal.Verdict.Since = toTheMicrosecond(b.clock.Now())
	}
}

// Brakes are those that hold at this moment for all nodes of the provisioner.
func (b *Board) Brakes(provisioner string) []Brake {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.fleet(provisioner)
	var holding []Brake
	if brake, holds := wholeFleetSilent(f); holds {
		holding = append(holding, brake)
	}
	if brake, holds := tooManyBadNodes(b.policy, f); holds {
		holding = append(holding, brake)
	}
	return holding
}

// node is nil for a key that is not tracked.
func (b *Board) node(key Key) *node {
	return b.nodes[key.Provisioner][key.Node]
}

func (b *Board) observe(key Key, n *node) Observation {
	return Observation{Report: b.reporter.NodeReport(key.Provisioner, key.Node), Maintenance: n.maintenance}
}

// look takes the step that follows from what is observed now. It is true when the verdict changed.
func (b *Board) look(key Key, n *node, now time.Time) bool {
	last := n.journal.Verdict
	n.journal = Next(b.policy, now, n.journal, b.observe(key, n))
	return !n.journal.Verdict.Equal(last)
}

func (b *Board) fleet(provisioner string) fleet {
	f := fleet{provisioner: provisioner}
	for name, n := range b.nodes[provisioner] {
		f.add(n.journal.Verdict, b.observe(Key{Provisioner: provisioner, Node: name}, n))
	}
	return f
}
