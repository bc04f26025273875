// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Results of roost_snapshot_schedule_runs_total, besides the reasons of skipped runs.
const (
	ResultCreated = "Created"
	// ResultRefused is an attempt that may be repeated.
	ResultRefused = "Refused"
)

// Metrics are sums over all schedules. Their labels are results, states and reasons; never a namespace or a name.
type Metrics struct {
	runs      *prometheus.CounterVec
	deletions *prometheus.CounterVec

	schedules, overdue, blocked, oldest *prometheus.Desc

	clock clock.PassiveClock
	mu    sync.Mutex
	known map[types.NamespacedName]observation
}

// observation is what is known of one schedule.
type observation struct {
	// state is the reason of ConditionScheduled.
	state       string
	blocked     bool
	lastSuccess time.Time
	overdue     time.Time
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry and one Reconciler.
func NewMetrics(c clock.PassiveClock) *Metrics {
	return &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_snapshot_schedule_runs_total",
			Help: "Runs of SnapshotSchedules, by result (Created, Refused, Missed, Overlap, Suspended, NameTaken).",
		}, []string{"result"}),
		deletions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_snapshot_retention_deletions_total",
			Help: "ApplicationSnapshots that retention deleted, by their phase (Ready, Failed) and result (Done, Failed).",
		}, []string{"phase", "result"}),
		schedules: prometheus.NewDesc("roost_snapshot_schedules", "SnapshotSchedules, by the reason of their condition Scheduled.", []string{"state"}, nil),
		overdue: prometheus.NewDesc("roost_snapshot_schedules_overdue",
			"SnapshotSchedules of which three runs were due since their last restore point.", nil, nil),
		blocked: prometheus.NewDesc("roost_snapshot_retention_blocked", "SnapshotSchedules whose condition Retained is False.", nil, nil),
		oldest: prometheus.NewDesc("roost_snapshot_schedules_oldest_success_timestamp_seconds",
			"Of the SnapshotSchedules that make runs and have a restore point, the one whose newest is oldest: when that was cut.", nil, nil),
		clock: c, known: map[types.NamespacedName]observation{},
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.runs.Describe(descriptions)
	m.deletions.Describe(descriptions)
	for _, d := range []*prometheus.Desc{m.schedules, m.overdue, m.blocked, m.oldest} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.runs.Collect(metrics)
	m.deletions.Collect(metrics)
	m.mu.Lock()
	defer m.mu.Unlock()
	states, overdue, blocked, oldest, now := map[string]float64{}, 0.0, 0.0, time.Time{}, m.clock.Now()
	for _, o := range m.known {
		states[o.state]++
		if !o.overdue.IsZero() && !now.Before(o.overdue) {
			overdue++
		}
		if o.blocked {
			blocked++
		}
		if makesRuns := !o.overdue.IsZero(); makesRuns && !o.lastSuccess.IsZero() && (oldest.IsZero() || o.lastSuccess.Before(oldest)) {
			oldest = o.lastSuccess
		}
	}
	for state, n := range states {
		metrics <- prometheus.MustNewConstMetric(m.schedules, prometheus.GaugeValue, n, state)
	}
	metrics <- prometheus.MustNewConstMetric(m.overdue, prometheus.GaugeValue, overdue)
	metrics <- prometheus.MustNewConstMetric(m.blocked, prometheus.GaugeValue, blocked)
	if !oldest.IsZero() {
		metrics <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, float64(oldest.Unix()))
	}
}

func (m *Metrics) ran(result string, runs int) { m.runs.WithLabelValues(result).Add(float64(runs)) }

func (m *Metrics) removed(phase snapshotv1alpha1.Phase, err error) {
	result := "Done"
	if err != nil {
		result = "Failed"
	}
	m.deletions.WithLabelValues(string(phase), result).Inc()
}

// observe remembers a schedule whose status was written.
func (m *Metrics) observe(schedule *snapshotv1alpha1.SnapshotSchedule, overdue time.Time) {
	o := observation{overdue: overdue, blocked: meta.IsStatusConditionFalse(schedule.Status.Conditions, snapshotv1alpha1.ConditionRetained)}
	if scheduled := meta.FindStatusCondition(schedule.Status.Conditions, snapshotv1alpha1.ConditionScheduled); scheduled != nil {
		o.state = scheduled.Reason
	}
	if schedule.Status.LastSuccessTime != nil {
		o.lastSuccess = schedule.Status.LastSuccessTime.Time
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[client.ObjectKeyFromObject(schedule)] = o
}

func (m *Metrics) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, key)
}
