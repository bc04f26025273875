// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"roost.dev/roost/snapshot/hooks"
	"roost.dev/roost/snapshot/inplace"
	"roost.dev/roost/snapshot/limits"
	"roost.dev/roost/snapshot/orphans"
	"roost.dev/roost/snapshot/restore"
	"roost.dev/roost/snapshot/schedules"
	"roost.dev/roost/snapshot/taking"
)

// Metrics are those of all loops. A loop that is off leaves its own at zero.
type Metrics struct {
	taking    *taking.Metrics
	hooks     *hooks.Metrics
	schedules *schedules.Metrics
	restores  *restore.Metrics
	phases    *inplace.Phases
	orphans   *orphans.Metrics

	inFlight, waiting         *prometheus.Desc
	snapshotGate, restoreGate atomic.Pointer[limits.Gate]
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry and one set of loops.
func NewMetrics(c clock.PassiveClock) *Metrics {
	return &Metrics{
		taking: taking.NewMetrics(), hooks: hooks.NewMetrics(), schedules: schedules.NewMetrics(c),
		restores: restore.NewMetrics(), phases: inplace.NewPhases(), orphans: orphans.NewMetrics(),
		inFlight: prometheus.NewDesc("roost_snapshot_operations_in_flight",
			"Claims that are being cut or restored, by CSI driver and kind (snapshot, restore).", []string{"provisioner", "kind"}, nil),
		waiting: prometheus.NewDesc("roost_snapshot_operations_waiting",
			"ApplicationSnapshots and SnapshotRestores that wait for their turn, by kind (snapshot, restore).", []string{"kind"}, nil),
	}
}

func (m *Metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.taking, m.hooks, m.schedules, m.restores, m.phases, m.orphans}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(into chan<- *prometheus.Desc) {
	for _, part := range m.parts() {
		part.Describe(into)
	}
	into <- m.inFlight
	into <- m.waiting
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(into chan<- prometheus.Metric) {
	for _, part := range m.parts() {
		part.Collect(into)
	}
	for kind, gate := range map[string]*limits.Gate{"snapshot": m.snapshotGate.Load(), "restore": m.restoreGate.Load()} {
		if gate == nil {
			continue
		}
		into <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(gate.Waiting()), kind)
		for driver, count := range gate.InFlight() {
			into <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(count), driver, kind)
		}
	}
}
