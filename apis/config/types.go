// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LocalityPolicy says what the place of a volume's data means for a pod that uses it.
type LocalityPolicy string

const (
	// LocalityPreferred wants the pod on a node with the data, else near it, else anywhere.
	LocalityPreferred LocalityPolicy = "Preferred"
	// LocalityRequired lets the pod run only on a node with the data.
	LocalityRequired LocalityPolicy = "Required"
	// LocalityAvoid is the reverse of Preferred: nodes with the data come last.
	LocalityAvoid LocalityPolicy = "Avoid"
	// LocalityIgnored leaves the volume out.
	LocalityIgnored LocalityPolicy = "Ignored"
)

// VolumeWeighting says how the scores of a pod's volumes become one.
type VolumeWeighting string

const (
	// VolumeWeightingEqual gives each volume the same share of the mean.
	VolumeWeightingEqual VolumeWeighting = "Equal"
	// VolumeWeightingCapacity gives each volume a share in proportion to its capacity.
	VolumeWeightingCapacity VolumeWeighting = "Capacity"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VolumeLocalityArgs are the arguments of the plugin VolumeLocality.
type VolumeLocalityArgs struct {
	metav1.TypeMeta

	// DefaultPolicy is the policy of a volume for which neither pod, claim nor StorageClass has the annotation
	// roost.dev/locality.
	DefaultPolicy LocalityPolicy
	// Topology lists the tiers by which a node can be near a replica, nearest first. The node itself is not listed.
	// Without tiers a node either has the data or is far from it.
	Topology []TopologyTier
	// VolumeWeighting says how the scores of a pod's volumes become one.
	VolumeWeighting VolumeWeighting
	// DataNodesFirst makes Preferred try the data nodes first and then widen. Without it the score alone decides.
	DataNodesFirst bool
}

// TopologyTier is one way for two nodes to be near each other: they have the same value of a label.
type TopologyTier struct {
	// Label is the key of a node label. A node without it is in no tier of this label.
	Label string
	// Weight is the score, 0 to 99, of a node that has the same value of the label as a node with an in-sync replica.
	Weight int32
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StorageHealthArgs are the arguments of the plugin StorageHealth.
type StorageHealthArgs struct {
	metav1.TypeMeta

	// RequireRegistration keeps pods off nodes where the CSI driver of their volumes has not registered.
	RequireRegistration bool
	// DegradedPenalty, 0 to 100, is what a node loses of its score of 100 where the storage is Degraded.
	DegradedPenalty int32
	// StorageDownPenalty is the same for StorageDown.
	StorageDownPenalty int32
	// SuspectPenalty is the same for a StorageNode whose state is Suspect.
	SuspectPenalty int32
}
