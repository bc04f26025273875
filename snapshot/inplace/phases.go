// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// Phases measure how long restores in place are in each phase.
type Phases struct {
	seconds *prometheus.HistogramVec

	mu    sync.Mutex
	begun map[types.UID]time.Time
}

var _ prometheus.Collector = (*Phases)(nil)

// NewPhases returns a metric that is registered nowhere.
func NewPhases() *Phases {
	return &Phases{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roost_snapshot_restore_phase_duration_seconds", Help: "How long restores in place were in a phase. Between Stopping and Starting the workloads are down.",
			Buckets: prometheus.ExponentialBuckets(0.5, 4, 10),
		}, []string{"phase"}),
		begun: map[types.UID]time.Time{},
	}
}

// Describe implements prometheus.Collector.
func (m *Phases) Describe(into chan<- *prometheus.Desc) { m.seconds.Describe(into) }

// Collect implements prometheus.Collector.
func (m *Phases) Collect(into chan<- prometheus.Metric) { m.seconds.Collect(into) }

// entered notes that a restore left a phase for another. How long one was that began before this process is not known.
func (m *Phases) entered(restore types.UID, left, phase snapshotv1alpha1.RestorePhase, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if begun, ok := m.begun[restore]; ok && left != phase {
		m.seconds.WithLabelValues(string(left)).Observe(now.Sub(begun).Seconds())
	}
	m.begun[restore] = now
	if !atWork(phase) {
		delete(m.begun, restore)
	}
}

// measure notes that a phase began, and counts a restore that is at an end with it.
func (p *procedure) measure(left snapshotv1alpha1.RestorePhase) {
	phase, now := p.status().Phase, p.Clock.Now()
	p.Phases.entered(p.restore().UID, left, phase, now)
	var took time.Duration
	if begun := p.status().StartTime; begun != nil && phase != snapshotv1alpha1.RestoreRolledBack {
		took = now.Sub(begun.Time)
	}
	switch phase {
	case snapshotv1alpha1.RestoreCompleted:
		if left == snapshotv1alpha1.RestoreStarting {
			p.Metrics.Ended(restore.KindInPlace, restore.ResultCompleted, took)
		}
	case snapshotv1alpha1.RestoreRolledBack:
		p.Metrics.Ended(restore.KindInPlace, restore.ResultRolledBack, took)
	case snapshotv1alpha1.RestoreFailed:
		result := restore.ResultFailed
		if !p.restore().DeletionTimestamp.IsZero() {
			result = restore.ResultAborted
		}
		p.Metrics.Ended(restore.KindInPlace, result, took)
	default:
	}
}
