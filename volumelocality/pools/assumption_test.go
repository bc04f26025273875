// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"context"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// promise reserves claims of so many GiB on the node "a" for the pod.
func (s *scene) promise(pod string, promised ...Claim) *Request {
	s.t.Helper()
	r := s.Request(fast, promised)
	if !s.Assume(types.UID(pod), "a", r) {
		s.t.Fatalf("pod %s was promised nothing", pod)
	}
	return r
}

func one(uid string) Claim { return Claim{UID: types.UID(uid), Bytes: gib} }

// step is what happens, in a table of stories.
type step func(*scene)

func newPool10() step { return sized("10Gi") }

func sized(size string) step {
	return func(s *scene) { s.PutPool(capacity("a", hostname("a"), size)) }
}

func promised(uid string) step { return func(s *scene) { s.promise("pod-of-"+uid, one(uid)) } }

func released(uid string) step {
	return func(s *scene) { s.Release(types.UID("pod-of-"+uid), s.Request(fast, []Claim{one(uid)})) }
}

func selected(uid string) step { return func(s *scene) { s.PutClaim(selecting(uid, "a").Obj()) } }
func givenUp(uid string) step  { return func(s *scene) { s.PutClaim(claim(uid).Obj()) } }
func bound(uid string) step {
	return func(s *scene) { s.PutClaim(selecting(uid, "a").BoundTo("pv").Obj()) }
}
func boundToOther(uid string) step {
	return func(s *scene) { s.PutClaim(claim(uid).BoundTo("pv").Obj()) }
}
func deleted(uid string) step    { return func(s *scene) { s.RemoveClaim(types.UID(uid)) } }
func after(d time.Duration) step { return func(s *scene) { s.clock.Step(d); s.update(s.expire) } }

var storyTests = map[string]struct {
	steps []step
	// want is the free GiB of the pool in the end.
	want int64
}{
	"nothing happened":                                        {steps: []step{}, want: 10},
	"a promise counts":                                        {steps: []step{promised("x")}, want: 9},
	"until it is taken back":                                  {steps: []step{promised("x"), released("x")}, want: 10},
	"once, though the claim names the node as well":           {steps: []step{promised("x"), selected("x")}, want: 9},
	"what names the node counts without a promise":            {steps: []step{selected("x")}, want: 9},
	"and when the pod is put back":                            {steps: []step{promised("x"), selected("x"), released("x")}, want: 9},
	"until the provisioner gives up":                          {steps: []step{promised("x"), selected("x"), released("x"), givenUp("x")}, want: 10},
	"a pod that holds it counts when the provisioner gave up": {steps: []step{promised("x"), selected("x"), givenUp("x")}, want: 9},
	"a change of the claim before it names the node":          {steps: []step{promised("x"), givenUp("x")}, want: 9},
	"the claim is deleted":                                    {steps: []step{promised("x"), selected("x"), deleted("x")}, want: 10},
	"a claim is deleted that was promised nothing":            {steps: []step{deleted("x")}, want: 10},
	"the claim is bound, and the object not written":          {steps: []step{promised("x"), selected("x"), bound("x")}, want: 9},
	"and is written at once, from before":                     {steps: []step{promised("x"), selected("x"), bound("x"), sized("10Gi")}, want: 9},
	"and is written well after, showing no change":            {steps: []step{promised("x"), selected("x"), bound("x"), after(writeLag), sized("10Gi")}, want: 10},
	"and is never written":                                    {steps: []step{promised("x"), selected("x"), bound("x"), after(CatchUpLimit)}, want: 10},
	"and not quite so long":                                   {steps: []step{promised("x"), selected("x"), bound("x"), after(CatchUpLimit - time.Second)}, want: 9},
	"heard of again, the binding is as old as before":         {steps: []step{promised("x"), selected("x"), bound("x"), after(CatchUpLimit / 2), bound("x"), after(CatchUpLimit / 2)}, want: 10},
	"the pool shrinks by it before it is bound":               {steps: []step{promised("x"), selected("x"), sized("9Gi")}, want: 9},
	"and it is bound then":                                    {steps: []step{promised("x"), selected("x"), sized("9Gi"), bound("x")}, want: 9},
	"the pool shrinks by half of it":                          {steps: []step{promised("x"), selected("x"), sized("9728Mi")}, want: 9},
	"the pool shrinks by more":                                {steps: []step{promised("x"), selected("x"), sized("7Gi")}, want: 7},
	"a decrease settles the oldest first":                     {steps: []step{selected("x"), after(1), selected("y"), sized("9Gi"), deleted("y")}, want: 9},
	"a decrease cannot be of what no provisioner knows of":    {steps: []step{promised("x"), sized("9Gi")}, want: 8},
	"a pool that grows settles nothing":                       {steps: []step{selected("x"), sized("12Gi")}, want: 11},
	"bound by somebody else to a volume that was there":       {steps: []step{promised("x"), boundToOther("x")}, want: 10},
	"a claim that was bound before we came":                   {steps: []step{bound("x")}, want: 10},
	"never bound, it counts long":                             {steps: []step{selected("x"), after(OverallLimit - time.Second)}, want: 9},
	"and not for ever":                                        {steps: []step{selected("x"), after(OverallLimit)}, want: 10},
	"also when it is heard of again":                          {steps: []step{selected("x"), after(OverallLimit), selected("x")}, want: 10},
	"nor when a pod holds it":                                 {steps: []step{promised("x"), after(OverallLimit)}, want: 10},
	"the object is made again":                                {steps: []step{selected("x"), func(s *scene) { s.RemovePool("csi/a") }, newPool10()}, want: 9},
	"the claim is seen before its pool, which shrinks then": {
		steps: []step{func(s *scene) { s.RemovePool("csi/a") }, selected("x"), newPool10(), sized("9Gi")}, want: 9,
	},
	"the object is made again for other nodes": {
		steps: []step{selected("x"), func(s *scene) { s.PutPool(capacity("a", hostname("b"), "10Gi")) }}, want: 10,
	},
	"another node is selected": {
		steps: []step{promised("x"), selected("x"), func(s *scene) { s.PutClaim(selecting("x", "b").Obj()) }}, want: 10,
	},
	"a node is selected that does not exist": {
		steps: []step{func(s *scene) { s.PutClaim(selecting("x", "gone").Obj()) }}, want: 10,
	},
	"two pods of one claim": {
		steps: []step{promised("x"), func(s *scene) { s.promise("other", one("x")) }, released("x")}, want: 9,
	},
	"and neither": {
		steps: []step{promised("x"), func(s *scene) {
			r := s.promise("other", one("x"))
			s.Release("other", r)
		}, released("x")}, want: 10,
	},
}

func TestWhatAPromiseComesTo(t *testing.T) {
	for name, tc := range storyTests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			newPool10()(s)
			for _, do := range tc.steps {
				do(s)
			}
			s.wantFree("in the end", "a", tc.want)
			s.RemoveClaim("x")
			s.RemoveClaim("y")
			s.RemovePool("csi/a")
			s.wantNothingLeft()
		})
	}
}

func TestThePromiseIsKeptFromOthers(t *testing.T) {
	s := newScene(t)
	sized("2Gi")(s)
	first, second, third := s.Request(fast, []Claim{one("1")}), s.Request(fast, []Claim{one("2")}), s.Request(fast, []Claim{one("3")})
	if !s.Assume("1", "a", first) || !s.Assume("2", "a", second) {
		t.Fatal("a promise that there is room for was not given")
	}
	if third.Fits(s.nodes["a"]) {
		t.Error("a third claim fits in a pool for two")
	}
	if s.Assume("3", "a", third) {
		t.Error("a third claim was promised room in a pool for two")
	}
	s.wantFree("after the third", "a", 0)
	s.Release("1", first)
	if !third.Fits(s.nodes["a"]) || !s.Assume("3", "a", third) {
		t.Error("what was taken back is not there for the third")
	}
}

func TestWhatIsSettledAndBoundIsForgotten(t *testing.T) {
	s := newScene(t)
	for _, do := range []step{newPool10(), selected("x"), sized("9Gi"), bound("x")} {
		do(s)
	}
	if len(s.assumed) != 0 {
		t.Errorf("%d claims are remembered, want none", len(s.assumed))
	}
}

func TestMoreIsPromisedThanNumbersHold(t *testing.T) {
	s := newScene(t)
	newPool10()(s)
	for _, uid := range []string{"x", "y"} {
		huge := selecting(uid, "a").Obj()
		huge.Spec.Resources.Requests = capacityList("8E")
		s.PutClaim(huge)
	}
	if s.fits("a", 1) {
		t.Error("a claim fits beside two of 8 EB: what is free has turned into a large number")
	}
}

func TestAPromiseIsForAllClassesOrNone(t *testing.T) {
	s := newScene(t)
	sized("1Gi")(s)
	s.PutPool(ofClass("slow", capacity("slow", hostname("a"), "0")))
	if s.Assume("pod", "a", s.Request(fast, []Claim{one("1")}), s.Request("slow", []Claim{one("2")})) {
		t.Error("a pod was promised room for one of two classes")
	}
	s.wantFree("nothing was promised", "a", 1)
}

// A scheduler that starts again hears of claims, pools and nodes in any order.
func TestWhatWasPromisedBeforeARestart(t *testing.T) {
	arrivals := map[string]step{
		"node":  func(s *scene) { s.nodes["a"] = hostname("a") },
		"pool":  sized("10Gi"),
		"claim": selected("x"),
	}
	for _, order := range [][]string{{"node", "pool", "claim"}, {"claim", "pool", "node"}, {"pool", "claim", "node"}, {"claim", "node", "pool"}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			s := newScene(t)
			delete(s.nodes, "a")
			for _, what := range order {
				arrivals[what](s)
				s.Request(fast, claims(1))
			}
			s.wantFree("when all have come", "a", 9)
		})
	}
}

func TestSubscribersHearOfMoreRoomOnly(t *testing.T) {
	s := newScene(t)
	// The classes of which the memory said that they have more room.
	var grown []string
	s.Subscribe(func(class string, _ int64) { grown = append(grown, class) })
	for _, tc := range []struct {
		name string
		do   step
		want int
	}{
		{"a pool comes", newPool10(), 1},
		{"it is written again", newPool10(), 0},
		{"it grows", sized("11Gi"), 1},
		{"it shrinks", sized("10Gi"), 0},
		{"room is promised", promised("x"), 0},
		{"the claim names the node", selected("x"), 0},
		{"the volume is made", sized("9Gi"), 0},
		{"the claim is bound", bound("x"), 0},
		{"room is promised again", promised("y"), 0},
		{"and taken back", released("y"), 1},
		{"a claim names the node", selected("z"), 0},
		{"the provisioner gives up", givenUp("z"), 1},
		{"a claim is bound and the pool shows no change", func(s *scene) { selected("z")(s); bound("z")(s) }, 0},
		{"the limit passes", after(CatchUpLimit), 1},
		{"larger volumes are allowed", func(s *scene) { s.PutPool(atMost(capacity("a", hostname("a"), "9Gi"), "1Gi")) }, 0},
		{"still larger ones", func(s *scene) { s.PutPool(atMost(capacity("a", hostname("a"), "9Gi"), "2Gi")) }, 1},
	} {
		grown = nil
		tc.do(s)
		if len(grown) != tc.want {
			t.Errorf("%s: told %d times of more room, want %d", tc.name, len(grown), tc.want)
		}
	}
}

func TestRunKeepsTheLimits(t *testing.T) {
	s := newScene(t)
	newPool10()(s)
	selected("x")(s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	grown := make(chan struct{}, 1)
	s.Subscribe(func(string, int64) { grown <- struct{}{} })
	err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return s.clock.HasWaiters(), nil })
	if err != nil {
		t.Fatal("nobody looks at the clock")
	}
	s.clock.Step(OverallLimit)
	select {
	case <-grown:
	case <-time.After(10 * time.Second):
		t.Error("nobody hears that the limit has passed")
	}
	cancel()
	<-ended
	s.wantFree("after the limit", "a", 10)
}

// Whatever happens, in whatever order: what is free is what the object says less what is promised, and nothing is left of what
// is gone.
func TestAnyOrderOfEvents(t *testing.T) {
	uids := []string{"1", "2", "3", "4"}
	kinds := []func(uid string) step{released, selected, givenUp, bound, boundToOther, deleted, func(uid string) step {
		return func(s *scene) { s.Assume(types.UID("pod-of-"+uid), "a", s.Request(fast, []Claim{one(uid)})) }
	}, func(string) step { return after(40 * time.Second) }}
	for seed := range int64(300) {
		random, s := rand.New(rand.NewSource(seed)), newScene(t)
		for range 60 {
			if random.Intn(4) == 0 {
				sized(fmt.Sprintf("%dGi", random.Intn(4)))(s)
			}
			if random.Intn(10) == 0 {
				s.RemovePool("csi/a")
			}
			kinds[random.Intn(len(kinds))](uids[random.Intn(len(uids))])(s)
			wantConsistent(t, s, seed)
		}
		for _, uid := range uids {
			released(uid)(s)
			deleted(uid)(s)
		}
		s.RemovePool("csi/a")
		s.wantNothingLeft()
	}
}

func wantConsistent(t *testing.T, s *scene, seed int64) {
	t.Helper()
	placed := map[*pool]int64{}
	for _, a := range s.assumed {
		if a.pool != nil {
			placed[a.pool] += a.bytes
		}
		if (a.pool == nil) != s.classes[fast].unplaced[a] {
			t.Fatalf("seed %d: a claim counts in a pool and waits for one, or neither", seed)
		}
	}
	for _, p := range s.pools {
		if got, want := p.free.Load(), p.room-placed[p]; got != want {
			t.Fatalf("seed %d: free %d, want %d: the object's %d less what is promised", seed, got, want, p.room)
		}
	}
}

// The race detector looks at this one.
func TestFitsWhileThePoolsChange(t *testing.T) {
	s := newScene(t)
	newPool10()(s)
	r := s.Request(fast, claims(1))
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := range 200 {
			sized(fmt.Sprintf("%dGi", i%7+2))(s)
			selected("x")(s)
			s.RemovePool("csi/a")
			deleted("x")(s)
		}
	})
	for range 1000 {
		r.Fits(hostname("a"))
		if mine := s.Request(fast, claims(1, 1)); s.Assume("pod", "a", mine) {
			s.Release("pod", mine)
		}
	}
	changing.Wait()
}
