// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"
)

var (
	now    = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	volume = VolumeID{Provisioner: "csi.roost.dev", Handle: "volume"}
)

// storage is a driver that says what a test has it say.
type storage struct {
	name     string
	observed time.Time
	unknown  bool
	unsynced bool
	state    StorageState
	// cost is how long an answer takes.
	cost  time.Duration
	clock *clocktesting.FakeClock

	changed func(Change)
	run     func(context.Context) error
}

func (s *storage) Run(ctx context.Context) error          { return s.run(ctx) }
func (s *storage) HasSynced() bool                        { return !s.unsynced }
func (s *storage) Subscribe(changed func(changed Change)) { s.changed = changed }

func (s *storage) Locate(VolumeID) (Location, bool) {
	if s.cost > 0 {
		s.clock.Step(s.cost)
	}
	return Location{Replicas: []Replica{{Node: "node-of-" + s.name}}, ObservedAt: s.observed}, !s.unknown
}

func (s *storage) NodeReport(_, node string) (NodeReport, bool) {
	return NodeReport{State: s.state, Message: s.name + " on " + node, ObservedAt: s.observed}, !s.unknown
}

func (s *storage) Fenced(_ VolumeID, node string) (Fence, bool) {
	return Fence{Message: s.name + " fences " + node, ObservedAt: s.observed}, !s.unknown
}

func (s *storage) driver(maxAge time.Duration, provisioners ...string) Driver {
	return Driver{Name: s.name, Provisioners: provisioners, MaxAge: maxAge, Source: s, Locator: s, Health: s}
}

func newRegistry(t testing.TB, added ...Driver) (*Registry, *clocktesting.FakeClock) {
	t.Helper()
	clock := clocktesting.NewFakeClock(now)
	r := NewRegistry(clock, NewMetrics())
	for _, d := range added {
		if err := r.Add(d); err != nil {
			t.Fatalf("adding a driver: %v", err)
		}
	}
	return r, clock
}

func TestAddRefuses(t *testing.T) {
	s := &storage{name: "new"}
	for name, tc := range map[string]struct {
		change func(*Driver)
		want   string
	}{
		"a driver without a name":       {change: func(d *Driver) { d.Name = "" }, want: "name is empty"},
		"a driver without a source":     {change: func(d *Driver) { d.Source = nil }, want: "source is missing"},
		"a driver without a locator":    {change: func(d *Driver) { d.Locator = nil }, want: "locator is missing"},
		"a negative age":                {change: func(d *Driver) { d.MaxAge = -time.Second }, want: "maximum age -1s is negative"},
		"a name that is taken":          {change: func(d *Driver) { d.Name = "old" }, want: `adding driver "old": name is taken`},
		"a fallback's name":             {change: func(d *Driver) { d.Name = "fallback" }, want: "name is taken"},
		"a provisioner that is taken":   {change: func(d *Driver) { d.Provisioners = []string{"free", "taken"} }, want: `provisioner "taken" is served by driver "old"`},
		"an empty provisioner":          {change: func(d *Driver) { d.Provisioners = []string{""} }, want: `provisioner "" is empty`},
		"a provisioner named twice":     {change: func(d *Driver) { d.Provisioners = []string{"free", "free"} }, want: `provisioner "free" is empty or named twice`},
		"two mistakes, both named, (a)": {change: func(d *Driver) { d.Name, d.Source = "", nil }, want: "name is empty"},
		"two mistakes, both named, (b)": {change: func(d *Driver) { d.Name, d.Source = "", nil }, want: "source is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRegistry(t, (&storage{name: "old"}).driver(0, "taken"), (&storage{name: "fallback"}).driver(0))
			d := s.driver(0, "free")
			tc.change(&d)
			err := r.Add(d)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error is %v, want it to say %q", err, tc.want)
			}
			if err := r.Add(s.driver(0, "free")); err != nil {
				t.Errorf("what was refused left something behind: %v", err)
			}
		})
	}
}

func TestLocateAsksInOrder(t *testing.T) {
	knows := func(name string) *storage { return &storage{name: name} }
	doesNot := func(name string) *storage { return &storage{name: name, unknown: true} }
	for name, tc := range map[string]struct {
		added []Driver
		want  string
	}{
		"the vendor's, added first": {
			added: []Driver{knows("vendor").driver(0, volume.Provisioner), knows("fallback").driver(0)}, want: "vendor",
		},
		"the vendor's, added last": {
			added: []Driver{knows("fallback").driver(0), knows("vendor").driver(0, volume.Provisioner)}, want: "vendor",
		},
		"the vendor's, by its second provisioner": {
			added: []Driver{knows("fallback").driver(0), knows("vendor").driver(0, "other", volume.Provisioner)}, want: "vendor",
		},
		"a fallback where the vendor's does not know": {
			added: []Driver{knows("fallback").driver(0), doesNot("vendor").driver(0, volume.Provisioner)}, want: "fallback",
		},
		"a fallback where the vendor is another": {added: []Driver{knows("vendor").driver(0, "other"), knows("fallback").driver(0)}, want: "fallback"},
		"the first fallback":                     {added: []Driver{knows("first").driver(0), knows("second").driver(0)}, want: "first"},
		"the second where the first does not know": {
			added: []Driver{doesNot("first").driver(0), knows("second").driver(0)}, want: "second",
		},
		"the vendor's, which knows the volume before it has synced": {
			added: []Driver{(&storage{name: "vendor", unsynced: true}).driver(0, volume.Provisioner), knows("fallback").driver(0)}, want: "vendor",
		},
		"the vendor's, whatever has not synced behind it": {
			added: []Driver{knows("vendor").driver(0, volume.Provisioner), (&storage{name: "fallback", unknown: true, unsynced: true}).driver(0)}, want: "vendor",
		},
		"a fallback where another vendor has not synced": {
			added: []Driver{(&storage{name: "vendor", unknown: true, unsynced: true}).driver(0, "other"), knows("fallback").driver(0)}, want: "fallback",
		},
		"nobody": {added: []Driver{doesNot("vendor").driver(0, volume.Provisioner), doesNot("fallback").driver(0)}},
		"none":   {},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRegistry(t, tc.added...)
			want := Answer{}
			if tc.want != "" {
				want = Answer{Location: Location{Replicas: []Replica{{Node: "node-of-" + tc.want}}}, Knowledge: Known, Driver: tc.want}
			}
			if diff := cmp.Diff(want, r.Locate(volume)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLocateAsksNobodyBehindADriverThatHasNotSynced(t *testing.T) {
	starting := func(name string, provisioners ...string) Driver {
		return (&storage{name: name, unknown: true, unsynced: true}).driver(0, provisioners...)
	}
	for name, tc := range map[string]struct {
		added []Driver
		want  string
	}{
		"a vendor's":                      {added: []Driver{starting("vendor", volume.Provisioner), (&storage{name: "fallback"}).driver(0)}, want: "vendor"},
		"a fallback":                      {added: []Driver{starting("first"), (&storage{name: "second"}).driver(0)}, want: "first"},
		"the last":                        {added: []Driver{(&storage{name: "first", unknown: true}).driver(0), starting("second")}, want: "second"},
		"the first of several":            {added: []Driver{starting("vendor", volume.Provisioner), starting("fallback")}, want: "vendor"},
		"behind a vendor that has synced": {added: []Driver{(&storage{name: "vendor", unknown: true}).driver(0, volume.Provisioner), starting("fallback")}, want: "fallback"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRegistry(t, tc.added...)
			if diff := cmp.Diff(Answer{Knowledge: TooOld, Driver: tc.want}, r.Locate(volume)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			name := tc.want + " locate too_old"
			if got := counters(t, r.metrics, "roost_driver_call_duration_seconds", "driver", "operation", "result"); got[name] != 1 {
				t.Errorf("calls are %v, want one %q", got, name)
			}
		})
	}
}

func TestNodeReportSaysThatItsDriverLocatesAll(t *testing.T) {
	const maxAge = time.Minute
	all := func(s *storage, provisioners ...string) Driver {
		d := s.driver(maxAge, provisioners...)
		d.LocatesAll = true
		return d
	}
	fallback := (&storage{name: "fallback", state: Online}).driver(0)
	for name, tc := range map[string]struct {
		added []Driver
		want  bool
	}{
		"one that does":                     {added: []Driver{all(&storage{name: "vendor", state: Online, observed: now}, volume.Provisioner), fallback}, want: true},
		"one that says Unknown":             {added: []Driver{all(&storage{name: "vendor", observed: now}), fallback}, want: true},
		"one that is too old":               {added: []Driver{all(&storage{name: "vendor", observed: now.Add(-time.Hour)}), fallback}, want: true},
		"one that does not":                 {added: []Driver{fallback}},
		"one behind one that does not":      {added: []Driver{fallback, all(&storage{name: "second"})}},
		"where the one that does is silent": {added: []Driver{all(&storage{name: "vendor", unknown: true}), fallback}},
		"of nobody":                         {},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRegistry(t, tc.added...)
			if got := r.NodeReport(volume.Provisioner, "node").LocatesAll; got != tc.want {
				t.Errorf("LocatesAll is %t, want %t", got, tc.want)
			}
		})
	}
}

func TestOldAnswersAreTooOldAndEndTheSearch(t *testing.T) {
	const maxAge = 2 * time.Minute
	for name, tc := range map[string]struct {
		observed time.Time
		maxAge   time.Duration
		want     Knowledge
	}{
		"a fresh one":                   {observed: now, maxAge: maxAge, want: Known},
		"one at the bound":              {observed: now.Add(-maxAge), maxAge: maxAge, want: Known},
		"one past the bound":            {observed: now.Add(-maxAge - 1), maxAge: maxAge, want: TooOld},
		"one from long ago":             {observed: time.Unix(0, 0), maxAge: maxAge, want: TooOld},
		"one that cannot age":           {maxAge: maxAge, want: Known},
		"one of a driver without bound": {observed: time.Unix(0, 0), want: Known},
		"one from the future":           {observed: now.Add(time.Hour), maxAge: maxAge, want: Known},
	} {
		t.Run(name, func(t *testing.T) {
			s := &storage{name: "vendor", observed: tc.observed, state: Online}
			r, _ := newRegistry(t, s.driver(tc.maxAge, volume.Provisioner), (&storage{name: "fallback", state: Offline}).driver(0))
			wantAnswer, wantReport := Answer{Knowledge: TooOld, Driver: "vendor"}, NodeReport{Message: "vendor on node", ObservedAt: tc.observed}
			if tc.want == Known {
				wantAnswer.Knowledge = Known
				wantAnswer.Location = Location{Replicas: []Replica{{Node: "node-of-vendor"}}, ObservedAt: tc.observed}
				wantReport.State = Online
			}
			if diff := cmp.Diff(wantAnswer, r.Locate(volume)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantReport, r.NodeReport(volume.Provisioner, "node")); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNodeReportPassesOverDriversThatKnowNothing(t *testing.T) {
	blind := (&storage{name: "blind"}).driver(0, volume.Provisioner)
	blind.Health = nil
	r, _ := newRegistry(t, blind, (&storage{name: "unknowing", unknown: true}).driver(0), (&storage{name: "knowing", state: Degraded}).driver(0))
	want := NodeReport{State: Degraded, Message: "knowing on node"}
	if diff := cmp.Diff(want, r.NodeReport(volume.Provisioner, "node")); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	r, _ = newRegistry(t, blind)
	if diff := cmp.Diff(NodeReport{}, r.NodeReport(volume.Provisioner, "node")); diff != "" {
		t.Errorf("report where nobody knows (-want +got):\n%s", diff)
	}
}

func TestFencedTakesTheFirstProof(t *testing.T) {
	const maxAge = 2 * time.Minute
	vendor := func(s *storage) Driver {
		s.name = "vendor"
		d := s.driver(maxAge, volume.Provisioner)
		d.Fencer = s
		return d
	}
	fallback := func(s *storage) Driver {
		d := s.driver(0)
		d.Fencer = s
		return d
	}
	for name, tc := range map[string]struct {
		added []Driver
		want  string
	}{
		"the vendor's, added last": {added: []Driver{fallback(&storage{name: "first"}), vendor(&storage{observed: now})}, want: "vendor fences node"},
		"a fallback's where the vendor has none": {
			added: []Driver{vendor(&storage{unknown: true}), fallback(&storage{name: "first"})}, want: "first fences node",
		},
		"a fallback's where the vendor cannot have any": {
			added: []Driver{(&storage{name: "vendor"}).driver(0, volume.Provisioner), fallback(&storage{name: "first"})}, want: "first fences node",
		},
		"a fallback's where the vendor is another": {
			added: []Driver{func() Driver { d := vendor(&storage{}); d.Provisioners = []string{"other"}; return d }(), fallback(&storage{name: "first"})},
			want:  "first fences node",
		},
		"the first fallback's": {
			added: []Driver{fallback(&storage{name: "first"}), fallback(&storage{name: "second"})}, want: "first fences node",
		},
		"the second's where the first has none": {
			added: []Driver{fallback(&storage{name: "first", unknown: true}), fallback(&storage{name: "second"})}, want: "second fences node",
		},
		"a fallback's where the vendor's is too old": {
			added: []Driver{vendor(&storage{observed: now.Add(-maxAge - 1)}), fallback(&storage{name: "first"})}, want: "first fences node",
		},
		"at the bound of its age":  {added: []Driver{vendor(&storage{observed: now.Add(-maxAge)})}, want: "vendor fences node"},
		"one that cannot age":      {added: []Driver{vendor(&storage{})}, want: "vendor fences node"},
		"none that is too old":     {added: []Driver{vendor(&storage{observed: now.Add(-maxAge - 1)})}},
		"none that is unconfirmed": {added: []Driver{vendor(&storage{observed: time.Unix(0, 0)})}},
		"none where nobody has it": {added: []Driver{vendor(&storage{unknown: true}), fallback(&storage{name: "first", unknown: true})}},
		"none of a driver without": {added: []Driver{(&storage{name: "vendor"}).driver(0, volume.Provisioner)}},
		"none without drivers":     {},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRegistry(t, tc.added...)
			got, ok := r.Fenced(volume, "node")
			if got.Message != tc.want || ok != (tc.want != "") {
				t.Errorf("Fenced is %+v, %t, want %q", got, ok, tc.want)
			}
			if !ok && got != (Fence{}) {
				t.Errorf("what is no proof is %+v, want nothing", got)
			}
		})
	}
}

func TestHasSyncedWaitsForEveryDriver(t *testing.T) {
	slow := &storage{name: "slow", unsynced: true}
	r, _ := newRegistry(t, (&storage{name: "quick"}).driver(0), slow.driver(0))
	if r.HasSynced() {
		t.Error("HasSynced is true while a driver has not synced, want false")
	}
	if diff := cmp.Diff([]string{"slow"}, r.NotSynced()); diff != "" {
		t.Errorf("drivers that have not synced (-want +got):\n%s", diff)
	}
	slow.unsynced = false
	if !r.HasSynced() {
		t.Error("HasSynced is false after every driver has synced, want true")
	}
}

func TestSubscribeReachesEveryDriver(t *testing.T) {
	one, other := &storage{name: "one"}, &storage{name: "other"}
	r, _ := newRegistry(t, one.driver(0), other.driver(0))
	var told []Change
	r.Subscribe(func(change Change) { told = append(told, change) })
	one.changed(Change{Volume: volume})
	other.changed(Change{Provisioner: "p", Node: "n"})
	if diff := cmp.Diff([]Change{{Volume: volume}, {Provisioner: "p", Node: "n"}}, told); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestRunStartsAFailedDriverAgainAndLeavesTheOthersAlone(t *testing.T) {
	starts, steadyStarts := make(chan time.Time), make(chan time.Time, 10)
	failing := &storage{name: "failing"}
	steady := &storage{name: "steady"}
	r, clock := newRegistry(t, failing.driver(0), steady.driver(0))
	failing.run = func(ctx context.Context) error {
		select {
		case starts <- clock.Now():
		case <-ctx.Done():
		}
		return errors.New("broken")
	}
	steady.run = func(ctx context.Context) error {
		steadyStarts <- clock.Now()
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), klog.Logger{}))
	var group sync.WaitGroup
	group.Go(func() { r.Run(ctx) })

	last := <-starts
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		got := nextStart(t, clock, starts).Sub(last)
		last = last.Add(got)
		// A fifth more is jitter, and the clock goes in steps.
		if least, most := want*time.Second, want*time.Second*6/5+time.Second; got < least || got > most {
			t.Errorf("the driver is started again after %s, want %s to %s", got, least, most)
		}
	}
	cancel()
	group.Wait()
	if got := len(steadyStarts); got != 1 {
		t.Errorf("the other driver was started %d times, want once", got)
	}
	// Up to nine starts have failed, and the one that ctx ended is none.
	want := map[string]float64{"failing": 8}
	got := counters(t, r.metrics, "roost_driver_restarts_total", "driver")
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1)); diff != "" {
		t.Errorf("restarts (-want +got):\n%s", diff)
	}
}

// nextStart steps the clock until the driver starts.
func nextStart(t *testing.T, clock *clocktesting.FakeClock, starts <-chan time.Time) time.Time {
	t.Helper()
	ticker, deadline := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer ticker.Stop()
	for {
		select {
		case at := <-starts:
			return at
		case <-ticker.C:
			if clock.HasWaiters() {
				clock.Step(time.Second)
			}
		case <-deadline:
			t.Fatal("the driver is not started again")
		}
	}
}

func TestRunStartsADriverAgainThatEndsWithoutAnError(t *testing.T) {
	starts := make(chan time.Time)
	s := &storage{name: "ending"}
	r, clock := newRegistry(t, s.driver(0))
	s.run = func(ctx context.Context) error {
		select {
		case starts <- clock.Now():
		case <-ctx.Done():
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { r.Run(ctx) })
	<-starts
	nextStart(t, clock, starts)
	cancel()
	group.Wait()
	if got := counters(t, r.metrics, "roost_driver_restarts_total", "driver"); len(got) != 0 {
		t.Errorf("restarts after failures are %v, want none: the driver did not fail", got)
	}
}

func TestMetricsCountCallsByOutcome(t *testing.T) {
	s := &storage{name: "vendor", observed: now, state: Online, cost: 30 * time.Microsecond}
	d := s.driver(time.Minute, volume.Provisioner)
	d.Fencer = s
	r, clock := newRegistry(t, d)
	s.clock = clock
	r.Locate(volume)
	r.Locate(VolumeID{Provisioner: volume.Provisioner, Handle: "another"})
	r.NodeReport(volume.Provisioner, "node")
	r.Fenced(volume, "node")
	clock.Step(time.Hour)
	r.Locate(volume)
	r.NodeReport(volume.Provisioner, "node")
	r.Fenced(volume, "node")
	r.Fenced(volume, "node")
	s.unknown = true
	r.Locate(volume)
	r.Locate(VolumeID{Provisioner: "nobody's", Handle: "volume"})
	want := map[string]float64{
		"vendor locate known": 2, "vendor locate too_old": 1, "vendor locate not_known": 1,
		"vendor node_report known": 1, "vendor node_report too_old": 1, "vendor node_report not_known": 0,
		"vendor fenced known": 1, "vendor fenced too_old": 2, "vendor fenced not_known": 0,
	}
	got := counters(t, r.metrics, "roost_driver_call_duration_seconds", "driver", "operation", "result")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got, want := seconds(t, r.metrics), 4*s.cost.Seconds(); got < want*0.99 || got > want*1.01 {
		t.Errorf("calls took %g s in all, want %g", got, want)
	}
}

func gather(t *testing.T, metrics *Metrics) map[string][]*sample {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(metrics); err != nil {
		t.Fatalf("registering the metrics: %v", err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatalf("gathering the metrics: %v", err)
	}
	gathered := map[string][]*sample{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			s := &sample{labels: map[string]string{}, count: metric.GetCounter().GetValue(), seconds: metric.GetHistogram().GetSampleSum()}
			if metric.GetHistogram() != nil {
				s.count = float64(metric.GetHistogram().GetSampleCount())
			}
			for _, label := range metric.GetLabel() {
				s.labels[label.GetName()] = label.GetValue()
			}
			gathered[family.GetName()] = append(gathered[family.GetName()], s)
		}
	}
	return gathered
}

type sample struct {
	labels         map[string]string
	count, seconds float64
}

// counters are the values of one metric by the values of its labels, of which there must be no other.
func counters(t *testing.T, metrics *Metrics, name string, labels ...string) map[string]float64 {
	t.Helper()
	counted := map[string]float64{}
	for _, s := range gather(t, metrics)[name] {
		if len(s.labels) != len(labels) {
			t.Errorf("%s has labels %v, want only %v", name, s.labels, labels)
		}
		var values []string
		for _, label := range labels {
			values = append(values, s.labels[label])
		}
		counted[strings.Join(values, " ")] = s.count
	}
	return counted
}

func seconds(t *testing.T, metrics *Metrics) float64 {
	t.Helper()
	total := 0.0
	for _, s := range gather(t, metrics)["roost_driver_call_duration_seconds"] {
		total += s.seconds
	}
	return total
}

func TestLocateAllocatesNothing(t *testing.T) {
	r, _ := newRegistry(t, (&fixed{}).driver("vendor", "other"), (&fixed{}).driver("fallback"))
	if allocations := testing.AllocsPerRun(1000, func() { r.Locate(volume) }); allocations > 0 {
		t.Errorf("Locate allocates %.0f times, want 0", allocations)
	}
}

// fixed always gives the same answer.
type fixed struct {
	storage
	location Location
}

func (f *fixed) Locate(VolumeID) (Location, bool) { return f.location, true }

func (f *fixed) driver(name string, provisioners ...string) Driver {
	return Driver{Name: name, Provisioners: provisioners, Source: f, Locator: f}
}

func BenchmarkRegistryLocate(b *testing.B) {
	r, _ := newRegistry(b, (&fixed{}).driver("fallback"))
	b.ReportAllocs()
	for b.Loop() {
		r.Locate(volume)
	}
}
