// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package orphans

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics have what a Reporter found last. Their labels are CSI drivers and reasons.
type Metrics struct {
	gauge *prometheus.Desc

	mu     sync.Mutex
	counts map[group]int
}

// group is what orphans are counted by.
type group struct{ driver, reason string }

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics of nothing found, for one registry and one Reporter.
func NewMetrics() *Metrics {
	return &Metrics{gauge: prometheus.NewDesc("roost_snapshot_orphaned_contents",
		"VolumeSnapshotContents whose VolumeSnapshot is gone, by CSI driver and reason (Retained, Lost, Deleting). Roost never deletes them.",
		[]string{"provisioner", "reason"}, nil)}
}

func (m *Metrics) set(counts map[group]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts = counts
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- m.gauge }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for of, n := range m.counts {
		metrics <- prometheus.MustNewConstMetric(m.gauge, prometheus.GaugeValue, float64(n), of.driver, of.reason)
	}
}
