// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

const (
	nfs  = "nfs.csi.example.com"
	disk = "disk.csi.example.com"
)

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func on(driver string, n int) map[string]int { return map[string]int{driver: n} }

// gate is a Gate that notes whom it wakes.
type gate struct {
	*Gate
	woken []string
}

func newGate(limits Limits) *gate {
	g := &gate{}
	g.Gate = New(limits, func(k types.NamespacedName) { g.woken = append(g.woken, k.String()) })
	return g
}

func wantWoken(t *testing.T, g *gate, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, g.woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	g.woken = nil
}

func TestLimitOfEachDimension(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		second types.NamespacedName
		load   map[string]int
		want   bool
	}{
		"a driver is full":                                    {Limits{2, 9, 9}, key("b", "2"), on(nfs, 1), false},
		"another driver is not":                               {Limits{2, 9, 9}, key("b", "2"), on(disk, 1), true},
		"a namespace is full":                                 {Limits{9, 2, 9}, key("a", "2"), on(disk, 1), false},
		"another namespace is not":                            {Limits{9, 2, 9}, key("b", "2"), on(nfs, 1), true},
		"the cluster is full":                                 {Limits{9, 9, 2}, key("b", "2"), on(disk, 1), false},
		"the last place of everything":                        {Limits{3, 3, 3}, key("a", "2"), on(nfs, 1), true},
		"one operation more than places":                      {Limits{3, 3, 3}, key("a", "2"), on(nfs, 2), false},
		"limits of 0 are 1":                                   {Limits{}, key("b", "2"), on(disk, 1), false},
		"larger than the limit of an idle driver":             {Limits{3, 9, 99}, key("b", "2"), on(disk, 9), true},
		"larger than the limit of a driver in use":            {Limits{3, 9, 99}, key("b", "2"), on(nfs, 9), false},
		"nothing to do in a full cluster has to wait as well": {Limits{9, 9, 2}, key("b", "2"), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(tc.limits)
			if !g.Enter(key("a", "1"), on(nfs, 2)) {
				t.Fatal("the first one is not let in, want it in whatever its size")
			}
			if got := g.Enter(tc.second, tc.load); got != tc.want {
				t.Errorf("the second one's Enter is %t, want %t", got, tc.want)
			}
		})
	}
}

func TestEnterTwiceTakesOnePlace(t *testing.T) {
	g := newGate(Limits{2, 9, 9})
	for range 3 {
		if !g.Enter(key("a", "1"), on(nfs, 1)) {
			t.Fatal("Enter is false, want true as at first")
		}
	}
	if diff := cmp.Diff(on(nfs, 1), g.InFlight()); diff != "" {
		t.Errorf("in flight after three times Enter (-want +got):\n%s", diff)
	}
	g.Enter(key("a", "2"), on(nfs, 1))
	for range 3 {
		if g.Enter(key("a", "3"), on(nfs, 1)) {
			t.Fatal("one more than the limit is let in")
		}
	}
	if got := g.Waiting(); got != 1 {
		t.Errorf("%d wait, want the one that asked three times once", got)
	}
	for name, want := range map[string]bool{"1": false, "2": false, "3": true, "unknown": false} {
		if got := g.Waits(key("a", name)); got != want {
			t.Errorf("Waits(%s) = %t, want %t", name, got, want)
		}
	}
}

func TestLeaveWakesWhoIsIn(t *testing.T) {
	g := newGate(Limits{1, 9, 9})
	g.Enter(key("a", "1"), on(nfs, 1))
	g.Enter(key("a", "2"), on(nfs, 1))
	g.Leave(key("a", "unknown"))
	wantWoken(t, g)
	g.Leave(key("a", "1"))
	wantWoken(t, g, "a/2")
	if !g.Enter(key("a", "2"), on(nfs, 1)) {
		t.Error("who was woken is not let in")
	}
	g.Leave(key("a", "2"))
	if got := g.InFlight(); len(got) != 0 {
		t.Errorf("in flight after all left: %v, want nothing", got)
	}
}

func TestWhoStopsWaitingIsForgotten(t *testing.T) {
	g := newGate(Limits{1, 9, 9})
	g.Enter(key("a", "1"), on(nfs, 1))
	g.Enter(key("a", "2"), on(nfs, 1))
	g.Leave(key("a", "2"))
	g.Leave(key("a", "1"))
	wantWoken(t, g)
	if g.Waiting() != 0 || len(g.InFlight()) != 0 {
		t.Errorf("%d wait and %v in flight, want nobody: the place must not go to one that is gone", g.Waiting(), g.InFlight())
	}
}

func TestWhoStopsWaitingFreesWhatWasKeptForIt(t *testing.T) {
	g := newGate(Limits{2, 9, 9})
	g.Enter(key("a", "1"), on(nfs, 1))
	g.Enter(key("b", "large"), on(nfs, 2))
	if g.Enter(key("c", "small"), on(nfs, 1)) {
		t.Fatal("the small one slips past the large one that was first")
	}
	g.Leave(key("b", "large"))
	wantWoken(t, g, "c/small")
}

func TestPlaceGoesToTheNamespaceWithTheLeast(t *testing.T) {
	g := newGate(Limits{9, 9, 2})
	g.Enter(key("busy", "1"), on(nfs, 1))
	g.Enter(key("busy", "2"), on(nfs, 1))
	for i := 3; i < 6; i++ {
		g.Enter(key("busy", fmt.Sprint(i)), on(nfs, 1))
	}
	g.Enter(key("quiet", "1"), on(nfs, 1))
	g.Leave(key("busy", "1"))
	wantWoken(t, g, "quiet/1")
	g.Leave(key("busy", "2"))
	wantWoken(t, g, "busy/3")
}

func TestResumeCountsBeyondTheLimit(t *testing.T) {
	g := newGate(Limits{1, 9, 9})
	g.Enter(key("a", "1"), on(nfs, 1))
	g.Enter(key("a", "2"), on(nfs, 1))
	g.Resume(key("a", "2"), on(nfs, 1))
	g.Resume(key("a", "2"), on(nfs, 1))
	if diff := cmp.Diff(on(nfs, 2), g.InFlight()); diff != "" || g.Waiting() != 0 {
		t.Errorf("%d wait; in flight (-want +got):\n%s", g.Waiting(), diff)
	}
	g.Enter(key("a", "3"), on(nfs, 1))
	g.Leave(key("a", "1"))
	wantWoken(t, g)
	g.Leave(key("a", "2"))
	wantWoken(t, g, "a/3")
}

// TestNobodyStarves has a namespace that always has something in flight want one place more, and a large load, while others
// come and go.
func TestNobodyStarves(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		who    types.NamespacedName
		load   map[string]int
	}{
		"a busy namespace among quiet ones": {Limits{9, 9, 3}, key("busy", "starving"), on(nfs, 1)},
		"a large load among small ones":     {Limits{3, 9, 9}, key("large", "starving"), on(nfs, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(tc.limits)
			g.Enter(key("busy", "for ever"), on(disk, 1))
			newcomers := []types.NamespacedName{}
			come := func(n int) {
				newcomer := key(fmt.Sprintf("quiet-%d", n), "x")
				g.Enter(newcomer, on(nfs, 1))
				newcomers = append(newcomers, newcomer)
			}
			come(0)
			come(1)
			g.Enter(tc.who, tc.load)
			for n := range 10 * patience {
				come(n + 2)
				g.Leave(newcomers[n])
				if slices.Contains(g.woken, tc.who.String()) {
					return
				}
			}
			t.Errorf("not in after %d others went", 10*patience)
		})
	}
}

// TestRandomTraffic holds the limits, and has everybody in at the end.
func TestRandomTraffic(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		limits := Limits{1 + random.IntN(5), 1 + random.IntN(5), 1 + random.IntN(8)}
		g := newGate(limits)
		loads, inside := map[types.NamespacedName]map[string]int{}, map[types.NamespacedName]bool{}
		play := func(n int) {
			for _, woken := range g.woken {
				inside[parse(woken)] = true
			}
			g.woken = nil
			holds(t, limits, loads, inside)
			if random.IntN(3) > 0 && n < 300 {
				k := key(fmt.Sprint("ns-", random.IntN(4)), fmt.Sprint(n))
				loads[k] = map[string]int{nfs: 1 + random.IntN(6), disk: random.IntN(2)}
				inside[k] = g.Enter(k, loads[k])
			} else {
				for k := range inside {
					if inside[k] || n < 300 {
						g.Leave(k)
						delete(inside, k)
						break
					}
				}
			}
		}
		for n := range 1000 {
			play(n)
		}
		if len(inside) != 0 || g.Waiting() != 0 || len(g.InFlight()) != 0 {
			t.Fatalf("seed %d: at the end %d are left, %d wait, %v in flight", seed, len(inside), g.Waiting(), g.InFlight())
		}
	}
}

func parse(woken string) types.NamespacedName {
	for i := range woken {
		if woken[i] == '/' {
			return key(woken[:i], woken[i+1:])
		}
	}
	return types.NamespacedName{}
}

// holds wants no dimension above its limit, unless one alone is.
func holds(t *testing.T, limits Limits, loads map[types.NamespacedName]map[string]int, inside map[types.NamespacedName]bool) {
	t.Helper()
	used, users := map[string]int{}, map[string]int{}
	count := func(dimension string, n int) {
		if n > 0 {
			used[dimension] += n
			users[dimension]++
		}
	}
	for k, in := range inside {
		if !in {
			continue
		}
		for driver, n := range loads[k] {
			count("driver "+driver, n)
		}
		count("namespace "+k.Namespace, sum(loads[k]))
		count("cluster", sum(loads[k]))
	}
	for dimension, n := range used {
		limit := limits.Cluster
		switch dimension[0] {
		case 'd':
			limit = limits.PerDriver
		case 'n':
			limit = limits.PerNamespace
		}
		if n > limit && users[dimension] > 1 {
			t.Fatalf("%s: %d in flight of %d, and not one alone", dimension, n, limit)
		}
	}
}
