// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Kubernetes has no well-known label for a rack; this is the name that storage systems and installers use.
const labelTopologyRack = "topology.kubernetes.io/rack"

// SetDefaults_VolumeLocalityArgs sets each field that was left out. An empty topology was not left out and stays empty.
func SetDefaults_VolumeLocalityArgs(obj *VolumeLocalityArgs) {
	if obj.DefaultPolicy == "" {
		obj.DefaultPolicy = LocalityPreferred
	}
	if obj.Topology == nil {
		obj.Topology = []TopologyTier{
			{Label: labelTopologyRack, Weight: 50},
			{Label: corev1.LabelTopologyZone, Weight: 25},
			{Label: corev1.LabelTopologyRegion, Weight: 10},
		}
	}
	if obj.VolumeWeighting == "" {
		obj.VolumeWeighting = VolumeWeightingEqual
	}
	if obj.DataNodesFirst == nil {
		obj.DataNodesFirst = ptr.To(true)
	}
}

// SetDefaults_StorageHealthArgs sets each field that was left out. A penalty of 0 was not left out and stays 0.
func SetDefaults_StorageHealthArgs(obj *StorageHealthArgs) {
	if obj.RequireRegistration == nil {
		obj.RequireRegistration = ptr.To(true)
	}
	if obj.DegradedPenalty == nil {
		obj.DegradedPenalty = ptr.To[int32](50)
	}
	if obj.StorageDownPenalty == nil {
		obj.StorageDownPenalty = ptr.To[int32](75)
	}
	if obj.SuspectPenalty == nil {
		obj.SuspectPenalty = ptr.To[int32](50)
	}
}
