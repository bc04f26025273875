// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

type policy = snapshotv1alpha1.Retention

func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

// ready is a point that was cut then, and is named after it.
func ready(t *testing.T, cut string, changes ...func(*Point)) Point {
	t.Helper()
	p := Point{Name: cut, UID: types.UID("uid-" + cut), Created: at(t, cut), Cut: at(t, cut), State: Ready}
	for _, change := range changes {
		change(&p)
	}
	return p
}

func failed(p *Point)   { p.State, p.Cut = Failed, time.Time{} }
func active(p *Point)   { p.State, p.Cut = Active, time.Time{} }
func pinned(p *Point)   { p.Pinned = true }
func inUse(p *Point)    { p.InUse = "Restoring" }
func foreign(p *Point)  { p.Foreign = true }
func deleting(p *Point) { p.Deleting = true }

// of are the claims of a point, by their names.
func of(names ...string) func(*Point) {
	return func(p *Point) {
		for _, name := range names {
			p.Claims = append(p.Claims, Claim{Name: name, UID: types.UID("uid-" + name)})
		}
	}
}

// begun is when work on a point began.
func begun(t *testing.T, text string) func(*Point) {
	t.Helper()
	return func(p *Point) { p.Began = at(t, text) }
}

func named(name string) func(*Point) {
	return func(p *Point) { p.Name, p.UID = name, types.UID("uid-"+name) }
}

func age(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// outcome is a Decision by names.
type outcome struct {
	Delete, Failed []string
	Kept           map[string]string
}

func outcomeOf(d Decision) outcome {
	var o outcome
	for i := range d.Delete {
		o.Delete = append(o.Delete, d.Delete[i].Name)
	}
	for i := range d.DeleteFailed {
		o.Failed = append(o.Failed, d.DeleteFailed[i].Name)
	}
	for i := range d.Kept {
		if o.Kept == nil {
			o.Kept = map[string]string{}
		}
		o.Kept[d.Kept[i].Name] = d.Kept[i].Reason
	}
	return o
}

type table map[string]struct {
	policy policy
	zone   string
	now    string
	points []Point
	want   outcome
}

func (tests table) run(t *testing.T) {
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			got := outcomeOf(Decide(&tc.policy, zone, at(t, tc.now), tc.points))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	const d1, d2, d3, d4, d5, now = "2026-05-01T03:00:00Z", "2026-05-02T03:00:00Z", "2026-05-03T03:00:00Z", "2026-05-04T03:00:00Z", "2026-05-05T03:00:00Z", "2026-05-05T12:00:00Z"
	table{
		"the newest stay": {policy: policy{Last: 2}, now: now, points: []Point{ready(t, d3), ready(t, d1), ready(t, d2)},
			want: outcome{Delete: []string{d1}}},
		"the oldest goes first": {policy: policy{Last: 1}, now: now, points: []Point{ready(t, d3), ready(t, d1), ready(t, d2)},
			want: outcome{Delete: []string{d1, d2}}},
		"the only ready one stays, however many newer ones are not ready": {policy: policy{Last: 2}, now: now,
			points: []Point{ready(t, d1), ready(t, d2, active), ready(t, d3, active), ready(t, d4, failed), ready(t, d5, failed)}},
		"failed ones take no place of ready ones": {policy: policy{Last: 2, Failed: ptr.To[int32](1)}, now: now,
			points: []Point{ready(t, d1), ready(t, d2), ready(t, d3, failed), ready(t, d4, failed)}, want: outcome{Failed: []string{d3}}},
		"three failed ones stay where nothing is said": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, failed), ready(t, d2, failed), ready(t, d3, failed), ready(t, d4, failed), ready(t, d5)}, want: outcome{Failed: []string{d1}}},
		"no failed one stays where that is said": {policy: policy{Last: 1, Failed: ptr.To[int32](0)}, now: now,
			points: []Point{ready(t, d1, failed), ready(t, d2, failed)}, want: outcome{Failed: []string{d1, d2}}},
		"a failed one that is pinned or in use stays": {policy: policy{Last: 1, Failed: ptr.To[int32](0)}, now: now,
			points: []Point{ready(t, d1, failed, pinned), ready(t, d2, failed, inUse), ready(t, d3, failed, deleting), ready(t, d4, failed, foreign)},
			want:   outcome{Kept: map[string]string{d1: KeptPinned, d2: "Restoring"}}},
		"age alone": {policy: policy{MaxAge: age(48 * time.Hour)}, now: now, points: []Point{ready(t, d1), ready(t, d2), ready(t, d3), ready(t, d4)},
			want: outcome{Delete: []string{d1, d2, d3}}},
		"exactly as old as may be stays": {policy: policy{MaxAge: age(48 * time.Hour)}, now: d5, points: []Point{ready(t, d1), ready(t, d3), ready(t, d4)},
			want: outcome{Delete: []string{d1}}},
		"age removes what a number would keep": {policy: policy{Last: 10, MaxAge: age(48 * time.Hour)}, now: now, points: []Point{ready(t, d1), ready(t, d2), ready(t, d4)},
			want: outcome{Delete: []string{d1, d2}}},
		"a number removes what is young enough": {policy: policy{Last: 1, MaxAge: age(480 * time.Hour)}, now: now, points: []Point{ready(t, d1), ready(t, d4)},
			want: outcome{Delete: []string{d1}}},
		"minReady wins over age": {policy: policy{MaxAge: age(time.Hour), MinReady: 2}, now: now, points: []Point{ready(t, d1), ready(t, d2), ready(t, d3)},
			want: outcome{Delete: []string{d1}, Kept: map[string]string{d2: KeptMinReady, d3: KeptMinReady}}},
		"minReady wins over numbers": {policy: policy{Last: 1, MinReady: 2}, now: now, points: []Point{ready(t, d1), ready(t, d2), ready(t, d3)},
			want: outcome{Delete: []string{d1}, Kept: map[string]string{d2: KeptMinReady}}},
		"the newest stays without any minReady": {policy: policy{MaxAge: age(time.Hour)}, now: now, points: []Point{ready(t, d1), ready(t, d2)},
			want: outcome{Delete: []string{d1}, Kept: map[string]string{d2: KeptMinReady}}},
		"one that is being deleted does not count": {policy: policy{MaxAge: age(time.Hour)}, now: now, points: []Point{ready(t, d1), ready(t, d2, deleting)},
			want: outcome{Kept: map[string]string{d1: KeptMinReady}}},
		"a foreign one does not count and stays": {policy: policy{MaxAge: age(time.Hour)}, now: now, points: []Point{ready(t, d1), ready(t, d2, foreign)},
			want: outcome{Kept: map[string]string{d1: KeptMinReady}}},
		"pinned and in use": {policy: policy{Last: 1}, now: now, points: []Point{ready(t, d1, pinned), ready(t, d2, inUse), ready(t, d3), ready(t, d4)},
			want: outcome{Delete: []string{d3}, Kept: map[string]string{d1: KeptPinned, d2: "Restoring"}}},
		"without a policy nothing goes": {now: now, points: []Point{ready(t, d1), ready(t, d2)}},
		"no points":                     {policy: policy{Last: 1}, now: now},
		"two that were cut in one second": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, begun(t, "2026-05-01T00:00:00.7Z")), ready(t, d1, begun(t, "2026-05-01T00:00:00.2Z"), named("z-before"))},
			want:   outcome{Delete: []string{"z-before"}}},
		"and their names the other way round": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, begun(t, "2026-05-01T00:00:00.2Z")), ready(t, d1, begun(t, "2026-05-01T00:00:00.7Z"), named("z-after"))},
			want:   outcome{Delete: []string{d1}}},
	}.run(t)
}

func TestTheOnlyPointOfAClaimStays(t *testing.T) {
	const d1, d2, d3, d4, now = "2026-05-01T03:00:00Z", "2026-05-02T03:00:00Z", "2026-05-03T03:00:00Z", "2026-05-04T03:00:00Z", "2026-05-04T12:00:00Z"
	anew := func(p *Point) { p.Claims = []Claim{{Name: "log", UID: "another"}} }
	table{
		"of a claim that dropped out": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, of("data", "log")), ready(t, d2, of("data", "log")), ready(t, d3, of("data")), ready(t, d4, of("data"))},
			want:   outcome{Delete: []string{d1, d3}, Kept: map[string]string{d2: KeptOnlyOfClaim}}},
		"of claims that dropped out one after the other": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, of("a", "b", "c")), ready(t, d2, of("a", "b")), ready(t, d3, of("a")), ready(t, d4)},
			want:   outcome{Kept: map[string]string{d1: KeptOnlyOfClaim, d2: KeptOnlyOfClaim, d3: KeptOnlyOfClaim}}},
		"of claims that are in turn": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, of("a")), ready(t, d2, of("b")), ready(t, d3, of("a")), ready(t, d4, of("b"))},
			want:   outcome{Delete: []string{d1, d2}, Kept: map[string]string{d3: KeptOnlyOfClaim}}},
		"of a claim that is gone": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1), ready(t, d2, of("data"))}, want: outcome{Delete: []string{d1}}},
		"of a claim of that name that was made anew": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, of("log")), ready(t, d2, anew)}, want: outcome{Kept: map[string]string{d1: KeptOnlyOfClaim}}},
		"however old it is": {policy: policy{MaxAge: age(time.Hour)}, now: now,
			points: []Point{ready(t, d1, of("log")), ready(t, d2, of("data")), ready(t, d4, of("data"))},
			want:   outcome{Delete: []string{d2}, Kept: map[string]string{d1: KeptOnlyOfClaim, d4: KeptMinReady}}},
		"where a newer one is being deleted, failed or foreign": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, of("log")), ready(t, d2, of("log"), deleting), ready(t, d3, of("log"), failed), ready(t, d3, of("log"), foreign), ready(t, d4, of("data"))},
			want:   outcome{Kept: map[string]string{d1: KeptOnlyOfClaim}}},
		"and no failed one": {policy: policy{Last: 1, Failed: ptr.To[int32](0)}, now: now,
			points: []Point{ready(t, d1, failed, of("log")), ready(t, d4, of("data"))}, want: outcome{Failed: []string{d1}}},
	}.run(t)
}

func TestPeriods(t *testing.T) {
	table{
		"each hour's newest": {policy: policy{Hourly: 2}, now: "2026-05-01T12:00:00Z",
			points: []Point{ready(t, "2026-05-01T08:10:00Z"), ready(t, "2026-05-01T09:10:00Z"), ready(t, "2026-05-01T09:50:00Z"), ready(t, "2026-05-01T11:00:00Z")},
			want:   outcome{Delete: []string{"2026-05-01T08:10:00Z", "2026-05-01T09:10:00Z"}}},
		"the night with two hours from 2 to 3": {policy: policy{Hourly: 2}, zone: "Europe/Berlin", now: "2026-10-25T12:00:00Z",
			points: []Point{ready(t, "2026-10-25T00:10:00Z"), ready(t, "2026-10-25T00:40:00Z"), ready(t, "2026-10-25T01:10:00Z")},
			want:   outcome{Delete: []string{"2026-10-25T00:10:00Z"}}},
		"days begin in the schedule's zone": {policy: policy{Daily: 2}, zone: "America/New_York", now: "2026-05-03T12:00:00Z",
			points: []Point{ready(t, "2026-05-02T03:59:00Z"), ready(t, "2026-05-02T04:00:00Z"), ready(t, "2026-05-03T03:59:00Z")},
			want:   outcome{Delete: []string{"2026-05-02T04:00:00Z"}}},
		"the same days in UTC": {policy: policy{Daily: 2}, now: "2026-05-03T12:00:00Z",
			points: []Point{ready(t, "2026-05-02T03:59:00Z"), ready(t, "2026-05-02T04:00:00Z"), ready(t, "2026-05-03T03:59:00Z")},
			want:   outcome{Delete: []string{"2026-05-02T03:59:00Z"}}},
		"a day without takes no number": {policy: policy{Daily: 2}, now: "2026-05-30T12:00:00Z",
			points: []Point{ready(t, "2026-05-01T03:00:00Z"), ready(t, "2026-05-02T03:00:00Z"), ready(t, "2026-05-20T03:00:00Z")},
			want:   outcome{Delete: []string{"2026-05-01T03:00:00Z"}}},
		"ISO weeks begin on Monday and reach over the year": {policy: policy{Weekly: 2}, now: "2027-01-05T00:00:00Z",
			points: []Point{ready(t, "2026-12-27T03:00:00Z"), ready(t, "2026-12-28T03:00:00Z"), ready(t, "2027-01-03T03:00:00Z"), ready(t, "2027-01-04T03:00:00Z")},
			want:   outcome{Delete: []string{"2026-12-27T03:00:00Z", "2026-12-28T03:00:00Z"}}},
		"week 53 and week 1 of a year are not one": {policy: policy{Weekly: 3}, now: "2027-02-01T00:00:00Z",
			points: []Point{ready(t, "2026-01-01T03:00:00Z"), ready(t, "2027-01-03T03:00:00Z"), ready(t, "2027-01-04T03:00:00Z")}},
		"a week's border in the zone": {policy: policy{Weekly: 1}, zone: "Pacific/Auckland", now: "2026-05-04T12:00:00Z",
			points: []Point{ready(t, "2026-05-03T11:59:00Z"), ready(t, "2026-05-03T12:00:00Z")},
			want:   outcome{Delete: []string{"2026-05-03T11:59:00Z"}}},
		"months reach over the year": {policy: policy{Monthly: 2}, now: "2026-02-01T00:00:00Z",
			points: []Point{ready(t, "2025-11-30T23:00:00Z"), ready(t, "2025-12-01T00:00:00Z"), ready(t, "2025-12-31T23:00:00Z"), ready(t, "2026-01-01T00:00:00Z")},
			want:   outcome{Delete: []string{"2025-11-30T23:00:00Z", "2025-12-01T00:00:00Z"}}},
		"the same month of two years": {policy: policy{Monthly: 2}, now: "2026-02-01T00:00:00Z",
			points: []Point{ready(t, "2025-01-15T00:00:00Z"), ready(t, "2026-01-15T00:00:00Z")}},
		"sets are a union, and one point may be in several": {policy: policy{Last: 1, Daily: 2, Monthly: 2}, now: "2026-05-03T00:00:00Z",
			points: []Point{ready(t, "2026-04-02T03:00:00Z"), ready(t, "2026-04-20T03:00:00Z"), ready(t, "2026-05-01T03:00:00Z"), ready(t, "2026-05-02T03:00:00Z")},
			want:   outcome{Delete: []string{"2026-04-02T03:00:00Z"}}},
	}.run(t)
}

func TestClocksThatAreWrong(t *testing.T) {
	const d1, d2, d3, now = "2026-05-01T03:00:00Z", "2026-05-02T03:00:00Z", "2026-05-03T03:00:00Z", "2026-05-03T12:00:00Z"
	cut := func(text string) func(*Point) { return func(p *Point) { p.Cut = at(t, text) } }
	table{
		"a cut in the future is not newer than what came later": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d1, cut("2050-01-01T00:00:00Z")), ready(t, d2)}, want: outcome{Delete: []string{d1}}},
		"a cut in the future grows old": {policy: policy{MaxAge: age(24 * time.Hour)}, now: now,
			points: []Point{ready(t, d1, cut("2050-01-01T00:00:00Z")), ready(t, d3)}, want: outcome{Delete: []string{d1}}},
		"a cut of 1970 is not old": {policy: policy{MaxAge: age(24 * time.Hour)}, now: now,
			points: []Point{ready(t, d3, cut("1970-01-01T00:00:00Z")), ready(t, now)}},
		"without a cut time creation counts": {policy: policy{Last: 1}, now: now,
			points: []Point{ready(t, d2, func(p *Point) { p.Cut = time.Time{} }), ready(t, d1)}, want: outcome{Delete: []string{d1}}},
		"a clock that went back makes nothing old": {policy: policy{MaxAge: age(time.Hour)}, now: "2026-04-01T00:00:00Z",
			points: []Point{ready(t, d1), ready(t, d2), ready(t, d3)}},
		"the cut counts, and not the creation": {policy: policy{MaxAge: age(24 * time.Hour)}, now: now,
			points: []Point{ready(t, d1, cut(d3)), ready(t, d3)}},
	}.run(t)
}

// Snapshots that are made one after the other, by a storage system whose clock is off and as exact as it likes, while the
// decision is by a clock of whole seconds.
func TestTheOrderIsThatOfTheMakingWhateverTheStorageClockSays(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 5))
		ahead := time.Duration(random.Int64N(int64(20*time.Minute))) - 10*time.Minute
		exactness := []time.Duration{time.Microsecond, time.Second}[random.IntN(2)]
		clock := at(t, "2026-05-01T03:00:00Z")
		spend := func() time.Time {
			clock = clock.Add(time.Duration(1 + random.Int64N(int64(time.Minute))>>random.IntN(12)))
			return clock
		}
		var points []Point
		for i := range 2 + random.IntN(4) {
			p := Point{UID: types.UID(strconv.Itoa(i)), State: Ready, Created: spend().Truncate(time.Second), Began: spend()}
			p.Name, p.Cut, p.Done = strconv.Itoa(random.Int()), spend().Add(ahead).Truncate(exactness), spend()
			points = append(points, p)
		}
		last := points[len(points)-1]
		random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		newest, cut, ok := Newest(clock.Truncate(time.Second), points)
		if !ok || newest.UID != last.UID || cut.Before(last.Began) || cut.After(last.Done) {
			t.Fatalf("history %d, storage clock ahead by %s: the newest is %v at %s, want %+v\n%+v", seed, ahead, newest, cut, last, points)
		}
	}
}

func TestNextIsWhenSomethingGrowsTooOld(t *testing.T) {
	points := []Point{ready(t, "2026-05-01T03:00:00Z"), ready(t, "2026-05-02T03:00:00Z"), ready(t, "2026-05-03T03:00:00Z")}
	keep := policy{MaxAge: age(72 * time.Hour), MinReady: 1}
	decision := Decide(&keep, time.UTC, at(t, "2026-05-03T12:00:00Z"), points)
	if len(decision.Delete) > 0 {
		t.Fatalf("deletes %v", decision.Delete)
	}
	if again := Decide(&keep, time.UTC, decision.Next.Add(-1), points); len(again.Delete) != 0 {
		t.Errorf("before %s something goes", decision.Next)
	}
	if again := Decide(&keep, time.UTC, decision.Next, points); len(again.Delete) != 1 {
		t.Errorf("at %s %v go, want one", decision.Next, again.Delete)
	}
	if last := Decide(&keep, time.UTC, at(t, "2026-06-01T00:00:00Z"), points[2:]); !last.Next.IsZero() {
		t.Errorf("nothing grows too old any more, and next is %s", last.Next)
	}
}
