// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// KeptPinned is a point that a person keeps.
	KeptPinned = "Pinned"
	// KeptMinReady is a point that is too old, and one of the few there are.
	KeptMinReady = "MinReady"
	// KeptOnlyOfClaim is the newest point that has a certain claim: those that came after it have it no more.
	KeptOnlyOfClaim = "OnlyOfClaim"

	// defaultFailed is how many failed points stay where the policy does not say.
	defaultFailed = 3
)

// State is how far a point is.
type State int

const (
	// Active is being made, or unknown.
	Active State = iota
	// Ready can be restored.
	Ready
	// Failed is over, and has nothing.
	Failed
)

// Claim is a PersistentVolumeClaim.
type Claim struct {
	Name string
	UID  types.UID
}

// Point is one restore point.
type Point struct {
	Name string
	UID  types.UID
	// Created is when its object was made, by the API server's clock.
	Created time.Time
	// Cut is when its content was fixed, by the storage system's clock. It may be zero.
	Cut time.Time
	// Began and Done are when work on it began and when it was ready, by our clock. It was cut between them, whatever the
	// storage system's clock says. Each may be zero.
	Began, Done time.Time
	State       State
	// Deleting is on its way out.
	Deleting bool
	// Foreign is of another schedule, or of none.
	Foreign bool
	// Pinned is kept by a person.
	Pinned bool
	// InUse is what uses it, in one word, or empty.
	InUse string
	// Claims are those that can be restored from it and that still exist.
	Claims []Claim
}

// Kept is a point that would go but for a guard.
type Kept struct {
	Point
	// Reason is the guard: KeptPinned, KeptMinReady, KeptOnlyOfClaim, or the point's InUse.
	Reason string
}

// Decision is which points to delete. Each list has the oldest first.
type Decision struct {
	// Delete are ready points.
	Delete []Point
	// DeleteFailed are failed ones.
	DeleteFailed []Point
	// Kept are those that would be deleted but for a guard.
	Kept []Kept
	// Next is when the next point grows too old. Zero where none does.
	Next time.Time
}

// Decide says which points may go.
func Decide(policy *snapshotv1alpha1.Retention, zone *time.Location, now time.Time, points []Point) Decision {
	ready, failed := sorted(points, Ready, now), sorted(points, Failed, now)
	var decision Decision
	wanted, guards := wantedOf(policy, zone, ready), guardsOf(policy, ready)
	for i := range ready {
		switch {
		case !wanted[i] || isTooOld(policy, now, &ready[i]):
			decision.judge(&ready[i].Point, guards[i], &decision.Delete)
		case policy.MaxAge != nil && guards[i] != KeptMinReady:
			decision.Next = earlier(decision.Next, ready[i].at.Add(policy.MaxAge.Duration+1))
		}
	}
	stay := defaultFailed
	if policy.Failed != nil {
		stay = max(0, int(*policy.Failed))
	}
	for i := stay; i < len(failed); i++ {
		decision.judge(&failed[i].Point, "", &decision.DeleteFailed)
	}
	slices.Reverse(decision.Delete)
	slices.Reverse(decision.DeleteFailed)
	slices.Reverse(decision.Kept)
	return decision
}

// guardsOf are what keeps each of the points, the newest first, besides its own state; empty where nothing does.
func guardsOf(policy *snapshotv1alpha1.Retention, ready []dated) []string {
	guards, seen := make([]string, len(ready)), map[Claim]bool{}
	for i := range ready {
		for _, claim := range ready[i].Claims {
			if !seen[claim] {
				seen[claim], guards[i] = true, KeptOnlyOfClaim
			}
		}
		if i < max(1, int(policy.MinReady)) {
			guards[i] = KeptMinReady
		}
	}
	return guards
}

// judge spares a point that a guard keeps, and adds others to those that go.
func (d *Decision) judge(point *Point, guard string, gone *[]Point) {
	switch {
	case point.Pinned:
		d.Kept = append(d.Kept, Kept{Point: *point, Reason: KeptPinned})
	case point.InUse != "":
		d.Kept = append(d.Kept, Kept{Point: *point, Reason: point.InUse})
	case guard != "":
		d.Kept = append(d.Kept, Kept{Point: *point, Reason: guard})
	default:
		*gone = append(*gone, *point)
	}
}

// dated is a point with the time that counts.
type dated struct {
	Point
	at time.Time
}

// sorted are our points in a state, the newest first. Those of one instant are in the order in which they were begun, else of their names.
func sorted(points []Point, state State, now time.Time) []dated {
	var found []dated
	for i := range points {
		if p := &points[i]; p.State == state && !p.Deleting && !p.Foreign {
			found = append(found, dated{Point: *p, at: timeOf(p, now)})
		}
	}
	slices.SortFunc(found, func(a, b dated) int {
		return cmp.Or(b.at.Compare(a.at), b.Began.Compare(a.Began), strings.Compare(a.Name, b.Name), strings.Compare(string(a.UID), string(b.UID)))
	})
	return found
}

// timeOf is when a point was cut. Nothing is cut before work on it began, or after it was ready, or in the future: a storage
// system that says so has another clock than ours, and when work began counts instead. So points that were made one after
// the other are in that order, however far off the storage system's clock is.
func timeOf(p *Point, now time.Time) time.Time {
	began, done := p.Began, p.Done
	if began.IsZero() {
		began = p.Created
	}
	if done.IsZero() {
		done = now
	}
	if p.Cut.Before(began) || p.Cut.After(done) {
		return began
	}
	return p.Cut
}

// Newest is the ready point that retention keeps last of all, and when it was cut; false where none is ready.
func Newest(now time.Time, points []Point) (*Point, time.Time, bool) {
	ready := sorted(points, Ready, now)
	if len(ready) == 0 {
		return nil, time.Time{}, false
	}
	return &ready[0].Point, ready[0].at, true
}

func isTooOld(policy *snapshotv1alpha1.Retention, now time.Time, point *dated) bool {
	return policy.MaxAge != nil && now.Sub(point.at) > policy.MaxAge.Duration
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
