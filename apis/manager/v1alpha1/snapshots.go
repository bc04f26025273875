// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Snapshots configures snapshots, their schedules and their restores.
type Snapshots struct {
	// QPS and Burst limit the requests of these loops, apart from those of clientConnection: a thousand snapshots at one
	// tick hold up no failover. 50 and 100 by default.
	QPS   float32 `json:"qps"`
	Burst int32   `json:"burst"`
	// Workers is how many snapshots, and how many restores, are looked after at a time. One that keeps an application still
	// has a worker until it is thawed. 16 by default.
	Workers int32 `json:"workers"`
	// MaxSnapshots is how many claims are cut at a time. 10 a CSI driver, 10 a namespace and 50 in the cluster by default.
	MaxSnapshots Concurrency `json:"maxSnapshots"`
	// MaxRestores is how many claims are made from snapshots at a time. 4 a CSI driver, 4 a namespace and 20 in the cluster by
	// default.
	MaxRestores Concurrency `json:"maxRestores"`
	// OrphanPeriod is how often VolumeSnapshotContents are looked for that have lost their VolumeSnapshot. 10m by default.
	OrphanPeriod metav1.Duration `json:"orphanPeriod"`
}

// Concurrency is how many operations are in flight at a time. A snapshot or restore of more claims than this goes alone.
type Concurrency struct {
	// PerDriver is for each CSI driver.
	PerDriver int32 `json:"perDriver"`
	// PerNamespace is for each namespace.
	PerNamespace int32 `json:"perNamespace"`
	// Cluster is for all together.
	Cluster int32 `json:"cluster"`
}
