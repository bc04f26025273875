// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReplicaState says how much of a volume's data a replica has.
// +kubebuilder:validation:Enum=InSync;Rebuilding;Stale;Failed
type ReplicaState string

const (
	// ReplicaInSync has all data and serves reads and writes.
	ReplicaInSync ReplicaState = "InSync"
	// ReplicaRebuilding is being filled and will be InSync.
	ReplicaRebuilding ReplicaState = "Rebuilding"
	// ReplicaStale has old data and is not being filled.
	ReplicaStale ReplicaState = "Stale"
	// ReplicaFailed has no data that can be used.
	ReplicaFailed ReplicaState = "Failed"
)

// VolumeReplica is one full copy of a volume. A diskless or tie-breaker member of a volume has no data and is not listed.
type VolumeReplica struct {
	// nodeName is the name of the Node object that the replica is on.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	NodeName string `json:"nodeName"`

	// state says how much of the volume's data the replica has.
	// +required
	State ReplicaState `json:"state"`
}

// VolumeTopologySpec names the volume. It cannot change.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is the volume's identity and cannot change; create another VolumeTopology"
type VolumeTopologySpec struct {
	// provisioner is the CSI driver's name, as in a PersistentVolume's spec.csi.driver.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Provisioner string `json:"provisioner"`

	// volumeHandle is the volume's identifier, as in a PersistentVolume's spec.csi.volumeHandle. It is never the
	// PersistentVolume's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	VolumeHandle string `json:"volumeHandle"`
}

// VolumeTopologyStatus is where the volume's data is, as the storage system sees it.
type VolumeTopologyStatus struct {
	// replicas are the volume's full copies, one entry a node. Empty means that no node has a full copy that the
	// storage system knows of, and the volume then has no location.
	// +optional
	// +listType=map
	// +listMapKey=nodeName
	// +kubebuilder:validation:MaxItems=64
	Replicas []VolumeReplica `json:"replicas,omitempty"`

	// attachedNodes are the names of the Node objects that the volume is attached to.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	AttachedNodes []string `json:"attachedNodes,omitempty"`

	// fencedNodes are the names of the Node objects that can no longer write to the volume, whatever runs on them: the
	// storage system refuses their writes until it takes them off this list. Roost removes a pod from a node that does not
	// answer only where the pod's volumes are fenced from it, so never list a node because it is silent, or because time
	// has passed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	FencedNodes []string `json:"fencedNodes,omitempty"`
}

// VolumeTopology says where the replicas of one volume are.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=vtopo,categories=roost
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Provisioner",type=string,JSONPath=`.spec.provisioner`
// +kubebuilder:printcolumn:name="Handle",type=string,JSONPath=`.spec.volumeHandle`
// +kubebuilder:printcolumn:name="Attached",type=string,JSONPath=`.status.attachedNodes`
// +kubebuilder:printcolumn:name="Replicas",type=string,JSONPath=`.status.replicas`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type VolumeTopology struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the volume.
	// +required
	Spec VolumeTopologySpec `json:"spec"`

	// status is where its data is.
	// +optional
	Status VolumeTopologyStatus `json:"status,omitempty"`
}

// VolumeTopologyList is a list of VolumeTopology objects.
//
// +kubebuilder:object:root=true
type VolumeTopologyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VolumeTopology `json:"items"`
}
