// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

func TestTooManyBadNodes(t *testing.T) {
	tests := map[string]struct {
		percent, known, bad int
		want                bool
	}{
		"none of none":                    {33, 0, 0, false},
		"the only one":                    {33, 1, 1, false},
		"one of two":                      {33, 2, 1, false},
		"both":                            {33, 2, 2, true},
		"a third of three":                {33, 3, 1, false},
		"two thirds of three":             {33, 3, 2, true},
		"two of five":                     {33, 5, 2, true},
		"a third of six":                  {33, 6, 2, false},
		"a half of six":                   {33, 6, 3, true},
		"three of eight":                  {33, 8, 3, true},
		"a third of nine":                 {33, 9, 3, false},
		"333 of a thousand":               {33, 1000, 333, false},
		"334 of a thousand":               {33, 1000, 334, true},
		"a fifth, exactly":                {20, 10, 2, false},
		"more than a fifth":               {20, 10, 3, true},
		"no percent, one of a thousand":   {0, 1000, 1, false},
		"no percent, two of a thousand":   {0, 1000, 2, true},
		"a hundred percent, all":          {100, 6, 6, false},
		"34 percent is more than a third": {34, 100, 34, false},
		"35 of a hundred with 34 percent": {34, 100, 35, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := fleet{known: tc.known, bad: tc.bad}
			if got := f.tooManyBad(tc.percent); got != tc.want {
				t.Errorf("%d bad of %d with %d percent: %t, want %t", tc.bad, tc.known, tc.percent, got, tc.want)
			}
		})
	}
}

func TestWhichNodesCount(t *testing.T) {
	report := func(state drivers.StorageState) Observation {
		return Observation{Report: drivers.NodeReport{State: state}}
	}
	tests := map[string]struct {
		state      storagev1alpha1.HealthState
		obs        Observation
		known, bad int
	}{
		"good":                          {healthy, report(drivers.Online), 1, 0},
		"serves from elsewhere":         {healthy, report(drivers.StorageDown), 1, 0},
		"silent":                        {healthy, report(drivers.Unknown), 0, 0},
		"a state that there is not":     {healthy, report(drivers.Offline + 1), 0, 0},
		"bad, not seen yet":             {healthy, report(drivers.Offline), 1, 1},
		"suspect":                       {suspect, report(drivers.Offline), 1, 1},
		"failed":                        {unhealthy, report(drivers.Offline), 1, 1},
		"failed over":                   {failedOver, report(drivers.Offline), 1, 1},
		"failed and silent":             {unhealthy, report(drivers.Unknown), 0, 0},
		"failed over and silent":        {failedOver, report(drivers.Unknown), 0, 0},
		"failed and back, not seen yet": {unhealthy, report(drivers.Online), 1, 1},
		"recovering":                    {recovering, report(drivers.Online), 1, 0},
		"in maintenance":                {healthy, report(drivers.Maintenance), 1, 0},
		"failed and in maintenance":     {unhealthy, report(drivers.Maintenance), 1, 0},
		"failed, bad, spec.maintenance": {unhealthy, observations["Offline, spec.maintenance"], 1, 0},
		"bad, spec.maintenance":         {healthy, observations["Offline, spec.maintenance"], 1, 0},
		"silent, spec.maintenance":      {healthy, observations["Unknown, spec.maintenance"], 0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var f fleet
			f.add(Verdict{State: tc.state}, tc.obs)
			if diff := cmp.Diff([]int{1, tc.known, tc.bad}, []int{f.tracked, f.known, f.bad}); diff != "" {
				t.Errorf("tracked, known, bad (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMayMove(t *testing.T) {
	tests := map[string]struct {
		state storagev1alpha1.HealthState
		obs   Observation
		want  string
	}{
		"Healthy and bad":                    {healthy, observations["Offline"], ReasonNotBad},
		"Suspect and bad":                    {suspect, observations["Offline"], ReasonNotBad},
		"Recovering and bad":                 {recovering, observations["Offline"], ReasonNotBad},
		"Unhealthy and bad":                  {unhealthy, observations["Offline"], ""},
		"FailedOver and bad":                 {failedOver, observations["Offline"], ""},
		"Unhealthy and good now":             {unhealthy, observations["Online"], ReasonNotBad},
		"Unhealthy and Degraded now":         {unhealthy, observations["Degraded"], ReasonNotBad},
		"Unhealthy and StorageDown now":      {unhealthy, observations["StorageDown"], ReasonNotBad},
		"Unhealthy and silent now":           {unhealthy, observations["Unknown"], ReasonStorageSilent},
		"Unhealthy and no state now":         {unhealthy, observations["no state that there is"], ReasonStorageSilent},
		"Unhealthy and in Maintenance now":   {unhealthy, observations["Maintenance"], ReasonMaintenance},
		"Unhealthy, bad, spec.maintenance":   {unhealthy, observations["Offline, spec.maintenance"], ReasonMaintenance},
		"FailedOver and silent, maintenance": {failedOver, observations["Unknown, spec.maintenance"], ReasonMaintenance},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "b")
			since := storagev1alpha1.StorageNodeStatus{State: tc.state}
			r.storage.say(of("a"), tc.obs.Report.State, "")
			r.Track(of("a"), tc.obs.Maintenance, since)
			r.wantMove("a", tc.want)
		})
	}
}

func TestMayMoveReadsTheReportAtThatMoment(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	r.fail("a")
	r.wantMove("a", "")
	r.say("a", drivers.Online)
	r.wantMove("a", ReasonNotBad)
	r.wantState("a", unhealthy)
	r.say("a", drivers.Unknown)
	r.wantMove("a", ReasonStorageSilent)
	r.say("a", drivers.Offline)
	r.wantMove("a", "")
	r.Track(of("a"), true, storagev1alpha1.StorageNodeStatus{})
	r.wantMove("a", ReasonMaintenance)
	if brake, _ := r.MayMove(of("a")); brake.Message != "An operator set spec.maintenance." {
		t.Errorf("message = %q, want one that names spec.maintenance", brake.Message)
	}
	r.Track(of("a"), false, storagev1alpha1.StorageNodeStatus{})
	r.wantMove("a", "")
	r.say("b", drivers.Offline)
	r.wantMove("a", ReasonTooManyBadNodes)
	r.say("b", drivers.Online)
	r.wantMove("a", "")
	r.Forget(of("a"))
	r.wantMove("a", ReasonNotBad)
}

func TestHalfOfTheNodesBadAtOnceMovesNothingUntilFewerAre(t *testing.T) {
	nodes := []string{"a", "b", "c", "d", "e", "f"}
	r := newRig(t, nodes...)
	r.storage.say(Key{Provisioner: "other.example.com", Node: "a"}, drivers.Offline, "")
	r.Track(Key{Provisioner: "other.example.com", Node: "a"}, false, storagev1alpha1.StorageNodeStatus{})
	r.fail("a", "b", "c")
	for range 100 {
		r.pass(period)
		for _, node := range nodes[:3] {
			r.wantMove(node, ReasonTooManyBadNodes)
		}
	}
	if brake, ok := r.MayMove(Key{Provisioner: "other.example.com", Node: "a"}); !ok {
		t.Errorf("another storage system's brake holds: %+v", brake)
	}
	want := []Brake{{
		Reason: ReasonTooManyBadNodes,
		Message: "3 nodes of csi.example.com are bad, of 6 that it reports on: that is more than one, and more than 33 percent. " +
			"The storage system or the view of it is broken, rather than so many nodes.",
	}}
	if diff := cmp.Diff(want, r.Brakes(vendor)); diff != "" {
		t.Errorf("brakes (-want +got):\n%s", diff)
	}
	if got := r.Brakes("other.example.com"); len(got) != 0 {
		t.Errorf("brakes of another storage system: %+v, want none", got)
	}
	r.say("c", drivers.Online)
	r.pass(period)
	r.wantMove("a", "")
	r.wantMove("b", "")
	r.wantMove("c", ReasonNotBad)
	if got := r.Brakes(vendor); len(got) != 0 {
		t.Errorf("brakes after one came back: %+v, want none", got)
	}
}

// Storage that failed and was taken away says nothing any more, and nobody deletes its StorageNode at once.
func TestFailedNodesThatAreSilentHoldNoOtherBack(t *testing.T) {
	r := newRig(t, "a", "b", "c", "d", "e", "f")
	r.fail("a", "b")
	r.say("a", drivers.Unknown)
	r.say("b", drivers.Unknown)
	r.pass(period)
	r.fail("c")
	r.wantMove("c", "")
	r.wantMove("a", ReasonStorageSilent)
	if got := r.Brakes(vendor); len(got) != 0 {
		t.Errorf("brakes = %+v, want none", got)
	}
	r.say("d", drivers.Offline)
	r.wantMove("c", ReasonTooManyBadNodes)
}

func TestSilentStorageSystemMovesNothing(t *testing.T) {
	nodes := map[string]storagev1alpha1.HealthState{}
	var names []string
	for i := range 9 {
		name := fmt.Sprintf("node-%d", i)
		names, nodes[name] = append(names, name), healthy
	}
	r := newRig(t, names...)
	r.say(names[0], drivers.Offline)
	r.pass(period)
	r.wantState(names[0], suspect)
	for _, phase := range []struct {
		says  drivers.StorageState
		lasts time.Duration
	}{{drivers.Unknown, 10 * time.Minute}, {drivers.Online, time.Minute}} {
		for _, name := range names {
			r.say(name, phase.says)
		}
		for range int(phase.lasts / period) {
			r.pass(period)
			for name, want := range nodes {
				r.wantState(name, want)
				r.wantMove(name, ReasonNotBad)
			}
		}
		brakes := r.Brakes(vendor)
		if silent := len(brakes) == 1 && brakes[0].Reason == ReasonStorageSilent; silent != (phase.says == drivers.Unknown) {
			t.Errorf("brakes while all say %s: %+v", phase.says, brakes)
		}
	}
}

func TestFailedNodeWaitsWhileTheStorageSystemIsSilent(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	r.fail("a")
	for _, node := range []string{"a", "b", "c"} {
		r.say(node, drivers.Unknown)
	}
	for range 300 {
		r.pass(period)
		r.wantState("a", unhealthy)
		r.wantMove("a", ReasonStorageSilent)
	}
	if got := r.verdict("a"); got.Reason != ReasonStorageSilent || got.Storage != drivers.Unknown {
		t.Errorf("verdict = %+v, want one that says that the storage system is silent", got)
	}
	r.say("a", drivers.Offline)
	r.say("b", drivers.Online)
	r.say("c", drivers.Online)
	r.wantMove("a", "")
}

func TestOneSilentNodeIsNoSilentStorageSystem(t *testing.T) {
	r := newRig(t, "a", "b")
	r.say("a", drivers.Unknown)
	if got := r.Brakes(vendor); len(got) != 0 {
		t.Errorf("brakes = %+v, want none", got)
	}
	if got := r.Brakes("nobody.example.com"); len(got) != 0 {
		t.Errorf("brakes of a storage system without nodes = %+v, want none", got)
	}
}
