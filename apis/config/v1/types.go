// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

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
	metav1.TypeMeta `json:",inline"`

	// defaultPolicy is the policy of a volume for which neither pod, claim nor StorageClass has the annotation
	// roost.dev/locality: Preferred, Required, Avoid or Ignored. Default: Preferred.
	DefaultPolicy LocalityPolicy `json:"defaultPolicy,omitempty"`

	// topology lists the tiers by which a node can be near a replica, nearest first, at most 8. Weights fall from
	// each tier to the next. The node itself is not a tier: kubernetes.io/hostname is refused. An empty list means
	// no tiers. Default, when the field is left out: topology.kubernetes.io/rack with weight 50,
	// topology.kubernetes.io/zone with 25, topology.kubernetes.io/region with 10.
	//
	// omitzero, not omitempty: an empty list has to survive being written out.
	// +listType=map
	// +listMapKey=label
	Topology []TopologyTier `json:"topology,omitzero"`

	// volumeWeighting says how the scores of a pod's volumes become one: their plain mean (Equal), or weighted by
	// capacity (Capacity). Default: Equal.
	VolumeWeighting VolumeWeighting `json:"volumeWeighting,omitempty"`

	// dataNodesFirst makes Preferred try the data nodes first and then widen to nearer nodes and to all. When false,
	// all feasible nodes are in play and the score alone decides. Default: true.
	DataNodesFirst *bool `json:"dataNodesFirst,omitempty"`
}

// TopologyTier is one way for two nodes to be near each other: they have the same value of a label.
type TopologyTier struct {
	// label is the key of a node label, for example topology.kubernetes.io/zone. A node without it is in no tier of
	// this label. No default: it must be given.
	Label string `json:"label"`

	// weight is the score, 0 to 99, of a node that has the same value of the label as a node with an in-sync
	// replica. A node with the replica itself scores 100. Default: 0, which only the last tier can have.
	Weight int32 `json:"weight"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StorageHealthArgs are the arguments of the plugin StorageHealth.
//
// A node has 100 points. It loses what its worst storage costs, of the storage systems that the pod has volumes of.
type StorageHealthArgs struct {
	metav1.TypeMeta `json:",inline"`

	// requireRegistration keeps pods off nodes whose CSINode does not list the CSI driver of their volumes. It does not
	// concern drivers that have no CSIDriver object. Default: true.
	RequireRegistration *bool `json:"requireRegistration,omitempty"`

	// degradedPenalty is what a node loses, 0 to 100, where the storage is Degraded: it serves, with less redundancy or
	// speed than it should. Default: 50.
	DegradedPenalty *int32 `json:"degradedPenalty,omitempty"`

	// storageDownPenalty is what a node loses, 0 to 100, where the storage is StorageDown: it serves from other nodes
	// only. Default: 75.
	StorageDownPenalty *int32 `json:"storageDownPenalty,omitempty"`

	// suspectPenalty is what a node loses, 0 to 100, where its StorageNode is Suspect: the storage was bad a moment ago,
	// for too short a time to act on. Default: 50.
	SuspectPenalty *int32 `json:"suspectPenalty,omitempty"`
}
