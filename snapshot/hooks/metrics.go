// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics say how long pods were frozen, and how often they could not be thawed. They have no labels: hooks and pods are
// without number.
type Metrics struct {
	freeze       prometheus.Histogram
	thawFailures prometheus.Counter
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry.
func NewMetrics() *Metrics {
	return &Metrics{
		freeze: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "roost_snapshot_freeze_duration_seconds",
			Help:    "Seconds from before the first freeze command of a snapshot to after its last thaw, or to when Roost gave up.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300},
		}),
		thawFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_snapshot_thaw_failures_total",
			Help: "Pods whose thaw command failed until Roost gave up. A person must look.",
		}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.freeze.Describe(descriptions)
	m.thawFailures.Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.freeze.Collect(metrics)
	m.thawFailures.Collect(metrics)
}

// thawed counts one freeze that is over, with so many pods that could not be thawed.
func (m *Metrics) thawed(took time.Duration, failures int) {
	m.freeze.Observe(took.Seconds())
	m.thawFailures.Add(float64(failures))
}
