// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	resultReady  = "Ready"
	severalNames = "several"
	noName       = "none"
)

// Metrics count snapshots and how long they took. Their labels are CSI drivers, modes and reasons; never a claim.
type Metrics struct {
	total         *prometheus.CounterVec
	cutDuration   *prometheus.HistogramVec
	readyDuration *prometheus.HistogramVec
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry.
func NewMetrics() *Metrics {
	return &Metrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_snapshot_snapshots_total",
			Help: "ApplicationSnapshots that ended, by CSI driver (several, none), mode and result: Ready, or the reason of the failure.",
		}, []string{"provisioner", "mode", "result"}),
		cutDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "roost_snapshot_cut_duration_seconds",
			Help:    "Seconds from when the claims were settled to when all were cut, by CSI driver.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600},
		}, []string{"provisioner"}),
		readyDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "roost_snapshot_ready_duration_seconds",
			Help:    "Seconds from when the claims were settled to when the snapshot could be restored, by CSI driver.",
			Buckets: []float64{1, 5, 10, 30, 60, 300, 900, 3600, 3 * 3600, 12 * 3600, 24 * 3600},
		}, []string{"provisioner"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(descriptions)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(metrics)
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.total, m.cutDuration, m.readyDuration}
}

func (m *Metrics) cut(snapshot *snapshotv1alpha1.ApplicationSnapshot, now time.Time) {
	m.cutDuration.WithLabelValues(driverOf(snapshot)).Observe(now.Sub(snapshot.Status.StartTime.Time).Seconds())
}

func (m *Metrics) ready(snapshot *snapshotv1alpha1.ApplicationSnapshot, now time.Time) {
	m.readyDuration.WithLabelValues(driverOf(snapshot)).Observe(now.Sub(snapshot.Status.StartTime.Time).Seconds())
	m.total.WithLabelValues(driverOf(snapshot), string(snapshot.Spec.Mode), resultReady).Inc()
}

func (m *Metrics) failed(snapshot *snapshotv1alpha1.ApplicationSnapshot, reason string) {
	m.total.WithLabelValues(driverOf(snapshot), string(snapshot.Spec.Mode), reason).Inc()
}

// driverOf is the one CSI driver of a snapshot.
func driverOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) string {
	driver := noName
	for i := range snapshot.Status.Members {
		switch of := snapshot.Status.Members[i].Driver; {
		case of == "" || of == driver:
		case driver == noName:
			driver = of
		default:
			return severalNames
		}
	}
	return driver
}
