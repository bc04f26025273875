// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// CatchUpLimit is how long what a bound claim was promised counts at most. The external-provisioner asks the storage system
	// for its capacity after it has made a volume, and otherwise once a minute; two of those minutes are enough for an object that
	// shows no change, because as much was freed as was taken.
	CatchUpLimit = 2 * time.Minute
	// writeLag is how old what an object says may be when it is written: the provisioner asks first, and then writes at
	// most once a second. An object that is written so long after the binding has the volume in it.
	writeLag = 10 * time.Second
	// OverallLimit is how long a claim counts that is never bound. It is longer than the ten minutes for which a pod waits for
	// its volumes, and ends what a provisioner that never answers would otherwise hold for ever.
	OverallLimit = 30 * time.Minute
	// lookInterval is how often the limits are looked at.
	lookInterval = 15 * time.Second
)

// assumption is what one claim was promised and its pool's object does not show yet. It begins when the scheduler reserves a node
// for a pod (holders), or when a claim is seen for which a scheduler has selected a node. It ends when
//
//   - nobody holds it and no node is selected: the pod did not get its node, or the provisioner has given it up;
//   - the claim is deleted, or is bound to a volume that no node was selected for;
//   - the object has shrunk by as much: a decrease settles what was promised, the oldest first, but only what a provisioner
//     could have made by then;
//   - the claim is bound and the object was written well after that, or CatchUpLimit after the binding.
//
// After OverallLimit it counts for nothing, whatever its claim does.
type assumption struct {
	claim       types.UID
	class, node string
	// bytes is what still counts, and pool where; nil while no pool is known for the node.
	bytes int64
	pool  *pool
	// holders are the pods between Reserve and Unreserve. They are not taken off when a pod is bound: its claims are then.
	holders []types.UID
	// selected says that the claim's annotation names the node.
	selected bool
	// since is when it began, and boundAt when the claim was seen bound, zero before.
	since, boundAt time.Time
}

// isOver says that the assumption has ended.
func (a *assumption) isOver(now time.Time) bool {
	if a.boundAt.IsZero() {
		return !a.selected && len(a.holders) == 0
	}
	return a.bytes == 0 || now.Sub(a.boundAt) >= CatchUpLimit
}

func (a *assumption) hold(pod types.UID) {
	if !slices.Contains(a.holders, pod) {
		a.holders = append(a.holders, pod)
	}
}

func (a *assumption) release(pod types.UID) {
	a.holders = slices.DeleteFunc(a.holders, func(holder types.UID) bool { return holder == pod })
}

// settle takes off what a decrease of the pool's room shows to have been made.
func (p *pool) settle(decrease int64) {
	for _, a := range p.promised {
		if decrease <= 0 {
			return
		}
		if !a.selected && a.boundAt.IsZero() {
			continue
		}
		shown := min(decrease, a.bytes)
		a.bytes -= shown
		decrease -= shown
	}
}

// written settles what was bound so long ago that the object, just written, has it.
func (p *pool) written(now time.Time) {
	for _, a := range p.promised {
		if !a.boundAt.IsZero() && now.Sub(a.boundAt) >= writeLag {
			a.bytes = 0
		}
	}
}
