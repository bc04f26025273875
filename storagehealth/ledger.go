// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

// ledger remembers the pods that are being moved away from each node, so that those that have gone are counted. The first
// of them also stand in the status, from where a restart takes them.
type ledger struct {
	mu    sync.Mutex
	pages map[verdict.Key]page
}

// page is what was written last of a node.
type page struct {
	moving sets.Set[types.UID]
	// moved is how many had been counted. Where the status says otherwise, another manager has counted since.
	moved int32
}

func newLedger() *ledger { return &ledger{pages: map[verdict.Key]page{}} }

// isUnderWay says that a pod counts as moved when it is gone. One that waits for the budget is moved in the same round in which
// it stops waiting, and may be gone by the next.
func isUnderWay(reason string) bool { return isMoving(reason) || reason == failover.Throttled }

// gone are the pods that were being moved and are not on the node any more.
func (l *ledger) gone(key verdict.Key, journal *storagev1alpha1.Failover, f *finding) []types.UID {
	l.mu.Lock()
	defer l.mu.Unlock()
	moving := l.moving(key, journal)
	for i := range f.candidates {
		moving.Delete(f.candidates[i].Pod.UID)
	}
	return moving.UnsortedList()
}

// moving are the pods that were being moved when the journal was written.
func (l *ledger) moving(key verdict.Key, journal *storagev1alpha1.Failover) sets.Set[types.UID] {
	moving := sets.New[types.UID]()
	if journal == nil {
		return moving
	}
	if last := l.pages[key]; last.moved == journal.Moved {
		moving = last.moving.Clone()
	}
	for i := range journal.Pods {
		if isUnderWay(journal.Pods[i].Reason) {
			moving.Insert(types.UID(journal.Pods[i].UID))
		}
	}
	return moving
}

// written notes what the status says now, before which it said before.
func (l *ledger) written(key verdict.Key, before, now *storagev1alpha1.Failover, f *finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !f.verdict.Failed() || now == nil {
		delete(l.pages, key)
		return
	}
	were, moving := l.moving(key, before), sets.New[types.UID]()
	for i := range f.candidates {
		uid := f.candidates[i].Pod.UID
		reason, _ := f.standing(&f.candidates[i])
		// One that turned out to be gone is among the candidates still, and is counted when it is not.
		if isUnderWay(reason) || reason == "" && were.Has(uid) {
			moving.Insert(uid)
		}
	}
	l.pages[key] = page{moving: moving, moved: now.Moved}
}
