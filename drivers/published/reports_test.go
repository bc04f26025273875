// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

const online, offline = storagev1alpha1.StorageOnline, storagev1alpha1.StorageOffline

func (r *recording) observed(node string) time.Time {
	r.t.Helper()
	report, ok := r.NodeReport(provisioner, node)
	if !ok {
		r.t.Fatalf("no report of %s", node)
	}
	return report.ObservedAt
}

// confirmed is when the volume's location was last confirmed.
func (r *recording) confirmed() time.Time {
	r.t.Helper()
	location, ok := r.Locate(volumeA)
	if !ok {
		r.t.Fatal("the volume is not located")
	}
	return location.ObservedAt
}

func TestHeartbeatsAreAsOldAsWeSawThemCome(t *testing.T) {
	for name, tc := range map[string]struct {
		// skew is how far the vendor's clock is ahead of ours, beats when it wrote, by our clock, before and after now.
		skew  time.Duration
		beats []time.Duration
		want  time.Duration
	}{
		"first sight of a fresh report":             {beats: []time.Duration{-time.Second}, want: -time.Second},
		"first sight of a dead report":              {beats: []time.Duration{-time.Hour}, want: -time.Hour},
		"first sight, from a clock that is ahead":   {skew: time.Hour, beats: []time.Duration{0}, want: 0},
		"first sight, from a clock that is behind":  {skew: -time.Hour, beats: []time.Duration{0}, want: -time.Hour},
		"a second one, from a clock that is behind": {skew: -time.Hour, beats: []time.Duration{0, time.Minute}, want: time.Minute},
		"a second one, from a clock that is ahead":  {skew: time.Hour, beats: []time.Duration{0, time.Minute}, want: time.Minute},
		"a third one": {skew: time.Hour, beats: []time.Duration{0, time.Minute, 3 * time.Minute}, want: 3 * time.Minute},
		"a report that is written again without a newer": {beats: []time.Duration{0, 0}, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor()
			r := newRecording(t, v)
			for _, at := range tc.beats {
				v.clock.SetTime(today.Add(max(at, 0)))
				r.report(newReport("node-a", online, today.Add(at+tc.skew)))
			}
			v.clock.SetTime(today.Add(time.Hour))
			if diff := cmp.Diff(today.Add(tc.want), r.observed("node-a")); diff != "" {
				t.Errorf("observation time (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportWrittenAgainWithoutAHeartbeatGrowsOlder(t *testing.T) {
	v := newVendor()
	r := newRecording(t, v)
	r.report(newReport("node-a", online, today))
	v.clock.Step(time.Minute)
	r.report(newReport("node-a", offline, today))
	if diff := cmp.Diff(today, r.observed("node-a")); diff != "" {
		t.Errorf("observation time (-want +got):\n%s", diff)
	}
}

func TestClockThatJumpsBackCostsOneHeartbeat(t *testing.T) {
	v := newVendor()
	r := newRecording(t, v)
	r.report(newReport("node-a", online, today.Add(time.Hour)))
	v.clock.Step(time.Minute)
	r.report(newReport("node-a", online, today))
	if diff := cmp.Diff(today, r.observed("node-a")); diff != "" {
		t.Errorf("observation time after an older heartbeat (-want +got):\n%s", diff)
	}
	v.clock.Step(time.Minute)
	r.report(newReport("node-a", online, today.Add(time.Minute)))
	if diff := cmp.Diff(today.Add(2*time.Minute), r.observed("node-a")); diff != "" {
		t.Errorf("observation time after the next one (-want +got):\n%s", diff)
	}
}

func TestVolumesAreAsOldAsTheNewestReport(t *testing.T) {
	v := newVendor()
	r := newRecording(t, v)
	r.topology(newTopologyOf("topology", volumeA, replicas(storagev1alpha1.ReplicaInSync, "node-a")...))
	want := func(what string, want time.Time) {
		t.Helper()
		if diff := cmp.Diff(want, r.confirmed()); diff != "" {
			t.Errorf("%s: observation time (-want +got):\n%s", what, diff)
		}
	}
	want("no report at all", time.Unix(0, 0))
	r.report(newReport("node-a", online, today.Add(-time.Hour)))
	want("a dead report", today.Add(-time.Hour))
	r.report(newReport("node-b", online, today.Add(-time.Minute)))
	want("a newer one", today.Add(-time.Minute))
	other := newReport("node-c", online, today)
	other.Name, other.Spec.Provisioner = "other", "other.roost.dev"
	r.report(other)
	want("a newer one of another provisioner", today.Add(-time.Minute))
	v.clock.Step(time.Minute)
	r.report(newReport("node-a", online, today))
	want("the dead one is alive", today.Add(time.Minute))
	r.removeReport(provisioner + "-node-a")
	want("the newest one is removed", today.Add(-time.Minute))
	r.removeReport(provisioner + "-node-b")
	want("the last one is removed", time.Unix(0, 0))
}

func TestNodeReportReadsTheStatus(t *testing.T) {
	for state, want := range map[storagev1alpha1.StorageState]drivers.StorageState{
		online:                             drivers.Online,
		storagev1alpha1.StorageDegraded:    drivers.Degraded,
		storagev1alpha1.StorageDown:        drivers.StorageDown,
		storagev1alpha1.StorageMaintenance: drivers.Maintenance,
		offline:                            drivers.Offline,
		"Dreaming":                         drivers.Unknown,
	} {
		r := newRecording(t, newVendor())
		r.report(newReport("node-a", state, today))
		got, _ := r.NodeReport(provisioner, "node-a")
		if diff := cmp.Diff(drivers.NodeReport{State: want, Message: "as reported", ObservedAt: today}, got); diff != "" {
			t.Errorf("report of a node that is %s (-want +got):\n%s", state, diff)
		}
		if _, ok := r.NodeReport("other.roost.dev", "node-a"); ok {
			t.Error("another provisioner's report of the node is known")
		}
	}
}

func TestReportsThatSayNothingAreIgnored(t *testing.T) {
	empty, nowhere, nobody := newReport("node-a", "", time.Time{}), newReport("", online, today), newReport("node-a", online, today)
	empty.Status = storagev1alpha1.StorageReportStatus{}
	nobody.Spec.Provisioner = ""
	for name, object := range map[string]*storagev1alpha1.StorageReport{
		"no status yet": empty, "no node": nowhere, "no provisioner": nobody,
	} {
		r := newRecording(t, newVendor())
		r.report(object)
		if got, ok := r.NodeReport(object.Spec.Provisioner, object.Spec.NodeName); ok || r.take() != nil {
			t.Errorf("%s: report is %+v, %t, want none and no change", name, got, ok)
		}
	}
}

func TestChangesOfANode(t *testing.T) {
	v := newVendor()
	r := newRecording(t, v)
	changed := []drivers.Change{{Provisioner: provisioner, Node: "node-a"}}
	second := newReport("node-a", offline, today)
	second.Name, second.CreationTimestamp = "second", metav1.NewTime(today.Add(time.Hour))
	emptied := newReport("node-a", online, today)
	emptied.Status = storagev1alpha1.StorageReportStatus{}
	for _, step := range []struct {
		what string
		wait time.Duration
		do   func()
		want []drivers.Change
	}{
		{"the first report", 0, func() { r.report(newReport("node-a", online, v.clock.Now())) }, changed},
		{"a heartbeat", time.Minute, func() { r.report(newReport("node-a", online, v.clock.Now())) }, nil},
		{"another state", time.Minute, func() { r.report(newReport("node-a", offline, v.clock.Now())) }, changed},
		{"a heartbeat just in time", MaxAge, func() { r.report(newReport("node-a", offline, v.clock.Now())) }, nil},
		{"a heartbeat after silence", MaxAge + time.Second, func() { r.report(newReport("node-a", offline, v.clock.Now())) }, changed},
		{"a younger object of the same node", 0, func() { r.report(second) }, nil},
		{"the older one goes, the younger says the same", 0, func() { r.removeReport(provisioner + "-node-a") }, changed},
		{"the younger one goes", 0, func() { r.removeReport("second") }, changed},
		{"a report comes", 0, func() { r.report(newReport("node-a", online, v.clock.Now())) }, changed},
		{"its status is emptied", 0, func() { r.report(emptied) }, changed},
		{"one goes that is not there", 0, func() { r.removeReport("second") }, nil},
	} {
		v.clock.Step(step.wait)
		step.do()
		if diff := cmp.Diff(step.want, r.take()); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", step.what, diff)
		}
	}
}
