// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kinds of restores, and how they end, as labels of metrics.
const (
	KindNewClaims = "NewClaims"
	KindInPlace   = "InPlace"

	ResultCompleted  = "Completed"
	ResultFailed     = "Failed"
	ResultAborted    = "Aborted"
	ResultRolledBack = "RolledBack"
)

// Metrics count restores of both kinds.
type Metrics struct {
	restores  *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry.
func NewMetrics() *Metrics {
	return &Metrics{
		restores: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_snapshot_restores_total",
			Help: "Restores that ended, by kind (NewClaims, InPlace) and result (Completed, Failed, Aborted, RolledBack).",
		}, []string{"kind", "result"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "roost_snapshot_restore_duration_seconds",
			Help:    "Time from when the claims of a restore were settled until it ended, by kind and result.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}, []string{"kind", "result"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.restores.Describe(descriptions)
	m.durations.Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.restores.Collect(metrics)
	m.durations.Collect(metrics)
}

// Ended counts a restore that is over, and how long it took, which may be 0 for one that never began.
func (m *Metrics) Ended(kind, result string, took time.Duration) {
	m.restores.WithLabelValues(kind, result).Inc()
	if took > 0 {
		m.durations.WithLabelValues(kind, result).Observe(took.Seconds())
	}
}
