// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// conclusion is what Next concludes from one observation.
type conclusion struct {
	State  storagev1alpha1.HealthState
	Reason string
}

var observations = map[string]Observation{
	"Online":                   {Report: drivers.NodeReport{State: drivers.Online}},
	"Degraded":                 {Report: drivers.NodeReport{State: drivers.Degraded}},
	"StorageDown":              {Report: drivers.NodeReport{State: drivers.StorageDown}},
	"Offline":                  {Report: drivers.NodeReport{State: drivers.Offline}},
	"Unknown":                  {Report: drivers.NodeReport{State: drivers.Unknown}},
	"no state that there is":   {Report: drivers.NodeReport{State: drivers.Offline + 1}},
	"Maintenance":              {Report: drivers.NodeReport{State: drivers.Maintenance}},
	"Online, spec.maintenance": {Report: drivers.NodeReport{State: drivers.Online}, Maintenance: true},
	"Offline, spec.maintenance": {
		Report: drivers.NodeReport{State: drivers.Offline}, Maintenance: true,
	},
	"Unknown, spec.maintenance": {Maintenance: true},
}

// lastStates are journals a moment after their state began.
var lastStates = map[storagev1alpha1.HealthState]Journal{
	healthy:    {Verdict: Verdict{State: healthy, Since: start}, run: run{kind: good, since: start, reports: 1, counted: start}},
	suspect:    {Verdict: Verdict{State: suspect, Since: start, FailingSince: start}, run: run{kind: bad, since: start, reports: 1, counted: start}},
	unhealthy:  {Verdict: Verdict{State: unhealthy, Since: start, FailingSince: start}, run: run{kind: bad, since: start, reports: 3, counted: start}},
	failedOver: {Verdict: Verdict{State: failedOver, Since: start, FailingSince: start}, run: run{kind: bad, since: start, reports: 3, counted: start}},
	recovering: {Verdict: Verdict{State: recovering, Since: start, FailingSince: start}, run: run{kind: good, since: start, reports: 1, counted: start}},
}

func TestNextFromEveryStateByEveryObservation(t *testing.T) {
	serving := []string{"Online", "Degraded", "StorageDown"}
	silence := []string{"Unknown", "no state that there is"}
	maintenance := []string{"Maintenance", "Online, spec.maintenance", "Offline, spec.maintenance", "Unknown, spec.maintenance"}
	tests := map[storagev1alpha1.HealthState]struct{ good, bad, silent, maintenance conclusion }{
		healthy: {
			good: conclusion{healthy, ReasonServing}, bad: conclusion{suspect, ReasonOffline},
			silent: conclusion{healthy, ReasonStorageSilent}, maintenance: conclusion{healthy, ReasonMaintenance},
		},
		suspect: {
			good: conclusion{healthy, ReasonServing}, bad: conclusion{suspect, ReasonOffline},
			silent: conclusion{healthy, ReasonStorageSilent}, maintenance: conclusion{healthy, ReasonMaintenance},
		},
		unhealthy: {
			good: conclusion{recovering, ReasonReturned}, bad: conclusion{unhealthy, ReasonOffline},
			silent: conclusion{unhealthy, ReasonStorageSilent}, maintenance: conclusion{unhealthy, ReasonMaintenance},
		},
		failedOver: {
			good: conclusion{recovering, ReasonReturned}, bad: conclusion{failedOver, ReasonOffline},
			silent: conclusion{failedOver, ReasonStorageSilent}, maintenance: conclusion{failedOver, ReasonMaintenance},
		},
		recovering: {
			good: conclusion{recovering, ReasonReturned}, bad: conclusion{recovering, ReasonOfflineAgain},
			silent: conclusion{recovering, ReasonStorageSilent}, maintenance: conclusion{recovering, ReasonMaintenance},
		},
	}
	for state, tc := range tests {
		wants := map[string]conclusion{"Offline": tc.bad}
		for _, name := range serving {
			wants[name] = tc.good
		}
		for _, name := range silence {
			wants[name] = tc.silent
		}
		for _, name := range maintenance {
			wants[name] = tc.maintenance
		}
		for name, obs := range observations {
			t.Run(string(state)+" by "+name, func(t *testing.T) {
				got := Next(testPolicy, start.Add(time.Second), lastStates[state], obs).Verdict
				if diff := cmp.Diff(wants[name], conclusion{got.State, got.Reason}); diff != "" {
					t.Errorf("conclusion (-want +got):\n%s", diff)
				}
				checkTimes(t, state, got)
			})
		}
	}
}

// checkTimes checks what holds of every verdict that follows from a last state that began at start.
func checkTimes(t *testing.T, last storagev1alpha1.HealthState, got Verdict) {
	t.Helper()
	wantSince := start
	if got.State != last {
		wantSince = start.Add(time.Second)
	}
	if !got.Since.Equal(wantSince) {
		t.Errorf("since = %s, want %s", got.Since, wantSince)
	}
	if got.FailingSince.IsZero() != (got.State == healthy) {
		t.Errorf("%s has been failing since %s", got.State, got.FailingSince)
	}
	if got.Storage > drivers.Offline {
		t.Errorf("storage = %s, which the API does not know", got.Storage)
	}
}

func TestNextActsAtOnceWhereThePolicySaysSo(t *testing.T) {
	policy := Policy{BadReports: 1, ReportPeriod: time.Second}
	next := Next(policy, start, lastStates[healthy], observations["Offline"])
	if got := next.Verdict.State; got != unhealthy {
		t.Errorf("one bad report makes the node %s, want %s", got, unhealthy)
	}
}

func TestMessages(t *testing.T) {
	report := func(state drivers.StorageState) Observation {
		return Observation{Report: drivers.NodeReport{State: state, Message: "pool r0"}}
	}
	silentSince := Observation{Report: drivers.NodeReport{ObservedAt: start.Add(-time.Minute)}}
	tests := map[string]struct {
		last storagev1alpha1.HealthState
		obs  Observation
		want string
	}{
		"good is what the storage system said":      {healthy, report(drivers.Degraded), "pool r0"},
		"Unhealthy is what the storage system said": {unhealthy, report(drivers.Offline), "pool r0"},
		"Suspect says when it is acted on":          {healthy, report(drivers.Offline), "pool r0. Offline since 2026-03-01T12:00:01Z: acted on from 2026-03-01T12:00:11Z if it stays so."},
		"Recovering says when pods come back":       {failedOver, report(drivers.Online), "pool r0. Good again since 2026-03-01T12:00:01Z: takes pods again from 2026-03-01T12:00:31Z if it stays good."},
		"bad while Recovering says from when":       {recovering, report(drivers.Offline), "pool r0. Offline again since 2026-03-01T12:00:01Z before it had recovered: Unhealthy again from 2026-03-01T12:00:40Z if it stays so."},
		"a sentence stays one":                      {healthy, Observation{Report: drivers.NodeReport{State: drivers.Maintenance, Message: "Drained."}}, "Drained. The storage system has the node in maintenance: it takes no new pods, and no pod is moved away."},
		"nothing said":                              {healthy, observations["Maintenance"], "The storage system has the node in maintenance: it takes no new pods, and no pod is moved away."},
		"silence of a good node":                    {healthy, Observation{}, "The storage system does not say how it is on the node. Nothing is concluded from that."},
		"silence of a failed node":                  {unhealthy, silentSince, "The storage system does not say how it is on the node; it last did at 2026-03-01T11:59:00Z. The node stays Unhealthy, and no pod is moved away, until it does."},
		"an operator's maintenance":                 {healthy, observations["Online, spec.maintenance"], "An operator set spec.maintenance: the node takes no new pods, and no pod is moved away."},
		"the storage system's maintenance":          {healthy, report(drivers.Maintenance), "pool r0. The storage system has the node in maintenance: it takes no new pods, and no pod is moved away."},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			last := lastStates[tc.last]
			last.run = run{}
			got := Next(testPolicy, start.Add(time.Second), last, tc.obs).Verdict
			if diff := cmp.Diff(tc.want, got.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVeryLongMessageIsCut(t *testing.T) {
	var long []byte
	for range maxSaid {
		long = append(long, "ä"...)
	}
	got := said(drivers.NodeReport{Message: "x" + string(long)})
	if len(got) > maxSaid+len("…") || got[len(got)-len("ä…"):] != "ä…" {
		t.Errorf("cut to %d bytes, ending in %q", len(got), got[len(got)-8:])
	}
}

func TestEqualIsAsFarAsAStatusWouldDiffer(t *testing.T) {
	verdict := Verdict{State: suspect, Since: start, Storage: drivers.Offline, Reason: ReasonOffline, Message: "said", FailingSince: start}
	tests := map[string]struct {
		change func(*Verdict)
		want   bool
	}{
		"nothing":       {func(*Verdict) {}, true},
		"another zone":  {func(v *Verdict) { v.Since = v.Since.In(time.FixedZone("", 3600)) }, true},
		"failing since": {func(v *Verdict) { v.FailingSince = time.Time{} }, true},
		"the state":     {func(v *Verdict) { v.State = unhealthy }, false},
		"since":         {func(v *Verdict) { v.Since = v.Since.Add(time.Microsecond) }, false},
		"what is said":  {func(v *Verdict) { v.Storage = drivers.Unknown }, false},
		"the reason":    {func(v *Verdict) { v.Reason = ReasonStorageSilent }, false},
		"the message":   {func(v *Verdict) { v.Message = "other" }, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			other := verdict
			tc.change(&other)
			if got := verdict.Equal(other); got != tc.want {
				t.Errorf("Equal = %t, want %t", got, tc.want)
			}
		})
	}
}
