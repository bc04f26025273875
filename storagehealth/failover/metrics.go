// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	methodEvict       = "Evict"
	methodDelete      = "Delete"
	methodForceDelete = "ForceDelete"

	resultDone    = "Done"
	resultRefused = "Refused"
	resultFailed  = "Failed"
	resultDryRun  = "DryRun"
)

// Metrics count what was done to pods and attachments.
type Metrics struct {
	moves       *prometheus.CounterVec
	attachments *prometheus.CounterVec
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry.
func NewMetrics() *Metrics {
	return &Metrics{
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_storagehealth_moves_total",
			Help: "Pods that were asked to leave a node, by CSI driver, method (Evict, Delete, ForceDelete) and result (Done, Refused by a PodDisruptionBudget, Failed, DryRun).",
		}, []string{"provisioner", "method", "result"}),
		attachments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_storagehealth_attachments_deleted_total",
			Help: "VolumeAttachments that were deleted because their node can no longer write, by CSI driver and result (Done, Failed).",
		}, []string{"provisioner", "result"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.moves.Describe(descriptions)
	m.attachments.Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.moves.Collect(metrics)
	m.attachments.Collect(metrics)
}

func (m *Metrics) moved(provisioner, method, result string) {
	m.moves.WithLabelValues(provisioner, method, result).Inc()
}

func (m *Metrics) detached(provisioner string, err error) {
	m.attachments.WithLabelValues(provisioner, resultOf(err)).Inc()
}

func resultOf(err error) string {
	if err == nil || apierrors.IsNotFound(err) {
		return resultDone
	}
	return resultFailed
}

// methodOf is how a step would move a pod.
func methodOf(s step) string {
	if s == remove || s == detach || s == awaitDetach || s == end || s == fail {
		return methodForceDelete
	}
	return methodEvict
}
