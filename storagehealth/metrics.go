// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/failover"
)

// Metrics are what the StorageNodes say, summed up when they are asked for, and counts of what was done. Their labels are
// CSI drivers, states and reasons; never a node, a pod or a claim.
type Metrics struct {
	// Moves count what was done to pods and attachments.
	Moves *failover.Metrics

	duration   *prometheus.HistogramVec
	writes     *prometheus.CounterVec
	evaluation prometheus.Histogram

	nodes, silent, atRisk, refusals, braked *prometheus.Desc
	// read is set by the controller. Without one there are no StorageNodes to sum up.
	read atomic.Pointer[inventory]
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero, for one registry and one controller.
func NewMetrics() *Metrics {
	return &Metrics{
		Moves: failover.NewMetrics(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "roost_storagehealth_failover_duration_seconds",
			Help:    "Seconds from the first bad report of a node to the last movable pod having left it, by CSI driver.",
			Buckets: []float64{10, 12, 15, 20, 25, 30, 45, 60, 90, 120, 300, 600, 1800},
		}, []string{"provisioner"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_storagehealth_status_writes_total",
			Help: "Writes of StorageNode statuses, by result (Done, Failed).",
		}, []string{"result"}),
		evaluation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "roost_storagehealth_evaluation_duration_seconds",
			Help:    "Seconds that one look at the reports of all nodes took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}),
		nodes: prometheus.NewDesc("roost_storagehealth_nodes",
			"StorageNodes, by CSI driver and verdict.", []string{"provisioner", "state"}, nil),
		silent: prometheus.NewDesc("roost_storagehealth_silent_nodes",
			"StorageNodes of which the storage system says nothing, by CSI driver.", []string{"provisioner"}, nil),
		atRisk: prometheus.NewDesc("roost_storagehealth_pods_at_risk",
			"Pods on nodes whose storage is not healthy, by CSI driver of their volumes.", []string{"provisioner"}, nil),
		refusals: prometheus.NewDesc("roost_storagehealth_refusals",
			"Pods left on nodes whose storage failed, by CSI driver and reason, at most 32 a node.", []string{"provisioner", "reason"}, nil),
		braked: prometheus.NewDesc("roost_storagehealth_braked",
			"Nodes that no pod is moved away from because a brake holds, by CSI driver and brake.", []string{"provisioner", "brake"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.Moves.Describe(descriptions)
	m.duration.Describe(descriptions)
	m.writes.Describe(descriptions)
	m.evaluation.Describe(descriptions)
	for _, d := range []*prometheus.Desc{m.nodes, m.silent, m.atRisk, m.refusals, m.braked} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.Moves.Collect(metrics)
	m.duration.Collect(metrics)
	m.writes.Collect(metrics)
	m.evaluation.Collect(metrics)
	known := m.read.Load()
	if known == nil {
		return
	}
	sums := map[*prometheus.Desc]map[[2]string]float64{m.nodes: {}, m.silent: {}, m.atRisk: {}, m.refusals: {}, m.braked: {}}
	for _, key := range known.keys() {
		if object, ok := known.get(key); ok {
			m.add(sums, object)
		}
	}
	for desc, byLabels := range sums {
		for labels, value := range byLabels {
			values := labels[:]
			if labels[1] == "" {
				values = labels[:1]
			}
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
		}
	}
}

func (m *Metrics) add(sums map[*prometheus.Desc]map[[2]string]float64, object *storagev1alpha1.StorageNode) {
	provisioner, status := object.Spec.Provisioner, &object.Status
	if status.State != "" {
		sums[m.nodes][[2]string{provisioner, string(status.State)}]++
	}
	sums[m.silent][[2]string{provisioner}] += silence(status)
	sums[m.atRisk][[2]string{provisioner}] += float64(status.PodsAtRisk)
	if condition := meta.FindStatusCondition(status.Conditions, storagev1alpha1.ConditionBraked); condition != nil && condition.Status == "True" &&
		condition.Reason != failover.Throttled { // pods are moved away from that one, and refusals count those that wait
		sums[m.braked][[2]string{provisioner, condition.Reason}]++
	}
	if status.Failover == nil || !isFailed(status.State) {
		return
	}
	for i := range status.Failover.Pods {
		if reason := status.Failover.Pods[i].Reason; !isMoving(reason) {
			sums[m.refusals][[2]string{provisioner, reason}]++
		}
	}
}

func silence(status *storagev1alpha1.StorageNodeStatus) float64 {
	if meta.IsStatusConditionFalse(status.Conditions, storagev1alpha1.ConditionReporting) {
		return 1
	}
	return 0
}

func (m *Metrics) wrote(err error) {
	result := "Done"
	if err != nil {
		result = "Failed"
	}
	m.writes.WithLabelValues(result).Inc()
}

func (m *Metrics) completed(provisioner string, took time.Duration) {
	m.duration.WithLabelValues(provisioner).Observe(took.Seconds())
}
