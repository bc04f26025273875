// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

const histories = 100_000

// history is a random policy, and random points of the weeks before now.
type history struct {
	random *rand.Rand
	policy policy
	zone   *time.Location
	now    time.Time
	points []Point
}

func newHistory(random *rand.Rand, zones []*time.Location) *history {
	h := &history{random: random, zone: zones[random.IntN(len(zones))]}
	h.now = time.Unix(1790000000+random.Int64N(40_000_000), 0)
	h.policy = policy{
		Last: h.some(6), Hourly: h.some(6), Daily: h.some(6), Weekly: h.some(4), Monthly: h.some(3),
		MinReady: int32(random.IntN(4)),
	}
	if random.IntN(2) == 0 {
		h.policy.MaxAge = &metav1.Duration{Duration: time.Duration(1+random.IntN(2000)) * time.Hour}
	}
	if random.IntN(2) == 0 {
		h.policy.Failed = ptr.To(int32(random.IntN(4)))
	}
	spread := []int{10, 300, 5000}[random.IntN(3)]
	for i := range random.IntN(20) {
		h.points = append(h.points, h.point(i, spread))
	}
	return h
}

func (h *history) some(limit int) int32 {
	if h.random.IntN(2) == 0 {
		return 0
	}
	return int32(h.random.IntN(limit))
}

func (h *history) point(i, spread int) Point {
	r := h.random
	p := Point{Name: fmt.Sprintf("p%d", i), UID: types.UID(fmt.Sprintf("uid-%d", i)), State: []State{Active, Ready, Ready, Ready, Failed}[r.IntN(5)]}
	p.Created = h.now.Add(time.Duration(2-r.IntN(spread)) * time.Hour)
	switch r.IntN(8) {
	case 0: // by a storage system that does not say
	case 1:
		p.Cut = p.Created.Add(time.Duration(r.IntN(20000)-10000) * time.Hour)
	default:
		p.Cut = p.Created.Add(time.Duration(r.IntN(60)) * time.Second)
	}
	p.Pinned, p.Foreign, p.Deleting = r.IntN(10) == 0, r.IntN(10) == 0, r.IntN(10) == 0
	if r.IntN(10) == 0 {
		p.InUse = "Restoring"
	}
	for _, claim := range []string{"data", "log", "old"} {
		if r.IntN(3) == 0 {
			p.Claims = append(p.Claims, Claim{Name: claim, UID: types.UID(claim)})
		}
	}
	return p
}

// claimsOf are all claims of the points that count as ready.
func claimsOf(points []Point) map[Claim]bool {
	claims := map[Claim]bool{}
	for i := range points {
		if p := &points[i]; p.State == Ready && !p.Foreign && !p.Deleting {
			for _, claim := range p.Claims {
				claims[claim] = true
			}
		}
	}
	return claims
}

// newestOf is the newest ready point of a claim.
func newestOf(points []Point, claim Claim, now time.Time) types.UID {
	for _, p := range sorted(points, Ready, now) {
		if slices.Contains(p.Claims, claim) {
			return p.UID
		}
	}
	return ""
}

// counted are the points that count as ready.
func counted(points []Point) int {
	n := 0
	for i := range points {
		if p := &points[i]; p.State == Ready && !p.Foreign && !p.Deleting {
			n++
		}
	}
	return n
}

// after are the points without those that were decided to go.
func after(points []Point, d *Decision) []Point {
	gone := map[types.UID]bool{}
	for _, list := range [][]Point{d.Delete, d.DeleteFailed} {
		for i := range list {
			gone[list[i].UID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return gone[p.UID] })
}

func checkDeleted(d *Decision) error {
	for state, list := range map[State][]Point{Ready: d.Delete, Failed: d.DeleteFailed} {
		for i := range list {
			if p := &list[i]; p.State != state || p.Pinned || p.Foreign || p.Deleting || p.InUse != "" {
				return fmt.Errorf("deletes %+v", *p)
			}
		}
	}
	return nil
}

func (h *history) check() error {
	d := Decide(&h.policy, h.zone, h.now, h.points)
	if err := checkDeleted(&d); err != nil {
		return err
	}
	left := after(h.points, &d)
	if had, has := counted(h.points), counted(left); has < min(max(1, int(h.policy.MinReady)), had) {
		return fmt.Errorf("%d of %d ready points remain", has, had)
	}
	if newest := sorted(h.points, Ready, h.now); len(newest) > 0 && !slices.ContainsFunc(left, func(p Point) bool { return p.UID == newest[0].UID }) {
		return fmt.Errorf("deletes the newest ready point %s", newest[0].Name)
	}
	for claim := range claimsOf(h.points) {
		if had, has := newestOf(h.points, claim, h.now), newestOf(left, claim, h.now); had != has {
			return fmt.Errorf("the newest ready point of claim %s was %s and is %q", claim.Name, had, has)
		}
	}
	return h.checkAgain(&d, left)
}

// checkAgain decides once more: after the decision was carried out, of points in another order, and by other policies.
func (h *history) checkAgain(d *Decision, left []Point) error {
	if again := Decide(&h.policy, h.zone, h.now, left); len(again.Delete)+len(again.DeleteFailed) > 0 {
		return fmt.Errorf("decided again, deletes %v and %v", again.Delete, again.DeleteFailed)
	}
	h.random.Shuffle(len(h.points), func(i, j int) { h.points[i], h.points[j] = h.points[j], h.points[i] })
	if shuffled := Decide(&h.policy, h.zone, h.now, h.points); len(after(left, &shuffled)) != len(left) || len(shuffled.Delete) != len(d.Delete) {
		return fmt.Errorf("in another order deletes %v, not %v", shuffled.Delete, d.Delete)
	}
	return h.checkGenerous(left)
}

// checkGenerous widens one rule that is set: nothing more may go.
func (h *history) checkGenerous(left []Point) error {
	generous := h.policy
	numbers := []*int32{&generous.Last, &generous.Hourly, &generous.Daily, &generous.Weekly, &generous.Monthly, &generous.MinReady}
	if number := numbers[h.random.IntN(len(numbers))]; *number > 0 {
		*number += int32(1 + h.random.IntN(3))
	}
	if generous.MaxAge != nil && h.random.IntN(2) == 0 {
		generous.MaxAge = &metav1.Duration{Duration: generous.MaxAge.Duration + 100*time.Hour}
	}
	d := Decide(&generous, h.zone, h.now, h.points)
	if remain := after(left, &d); len(remain) != len(left) {
		return fmt.Errorf("%+v deletes what a stricter policy keeps", generous)
	}
	return nil
}

func TestRandomHistories(t *testing.T) {
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	for seed := range uint64(histories) {
		h := newHistory(rand.New(rand.NewPCG(seed, 4)), zones)
		if err := h.check(); err != nil {
			t.Fatalf("history %d: %v\npolicy %+v\nnow %s\npoints %+v", seed, err, h.policy, h.now, h.points)
		}
	}
}
