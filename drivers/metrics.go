// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the time and outcome of every call through the registry. They are registered by the process that serves them.
type Metrics struct {
	duration *prometheus.HistogramVec
	restarts *prometheus.CounterVec
}

// NewMetrics returns metrics that no registerer knows yet.
func NewMetrics() *Metrics {
	return &Metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "roost_driver_call_duration_seconds",
			Help:    "Time that a call into a driver took, by driver, operation and result (known, too_old, not_known).",
			Buckets: prometheus.ExponentialBuckets(1e-7, 10, 8),
		}, []string{"driver", "operation", "result"}),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_driver_restarts_total",
			Help: "How often a driver failed and was started again.",
		}, []string{"driver"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.duration.Describe(descriptions)
	m.restarts.Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.duration.Collect(metrics)
	m.restarts.Collect(metrics)
}

// callMetrics are the observers of one operation of one driver, by result.
type callMetrics map[Knowledge]prometheus.Observer

func (m *Metrics) forCall(driver, operation string) callMetrics {
	return callMetrics{
		NotKnown: m.duration.WithLabelValues(driver, operation, "not_known"),
		TooOld:   m.duration.WithLabelValues(driver, operation, "too_old"),
		Known:    m.duration.WithLabelValues(driver, operation, "known"),
	}
}

func (c callMetrics) observe(result Knowledge, duration time.Duration) {
	c[result].Observe(duration.Seconds())
}
