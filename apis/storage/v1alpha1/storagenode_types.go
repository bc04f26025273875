// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HealthState is Roost's verdict on a storage system's part on one node.
// +kubebuilder:validation:Enum=Healthy;Suspect;Unhealthy;FailedOver;Recovering
type HealthState string

const (
	// HealthHealthy takes pods.
	HealthHealthy HealthState = "Healthy"
	// HealthSuspect has been bad for too short a time to act on.
	HealthSuspect HealthState = "Suspect"
	// HealthUnhealthy takes no pods of the driver, and those that can run elsewhere are moved away.
	HealthUnhealthy HealthState = "Unhealthy"
	// HealthFailedOver is Unhealthy with no pod left that could be moved away.
	HealthFailedOver HealthState = "FailedOver"
	// HealthRecovering is good again, for too short a time to take pods.
	HealthRecovering HealthState = "Recovering"
)

const (
	// ConditionReporting is True while the storage system says how it is on the node, False while it is silent.
	ConditionReporting = "Reporting"
	// ConditionBraked is True while something keeps Roost from moving pods away from the node; its reason says what.
	ConditionBraked = "Braked"
)

// StorageNodeSpec names a storage system's part on one node, and what an operator wants of it.
// +kubebuilder:validation:XValidation:rule="self.provisioner == oldSelf.provisioner && self.nodeName == oldSelf.nodeName",message="provisioner and nodeName are the StorageNode's identity and cannot change"
type StorageNodeSpec struct {
	// provisioner is the CSI driver's name, as in a PersistentVolume's spec.csi.driver.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Provisioner string `json:"provisioner"`

	// nodeName is the name of the Node object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	NodeName string `json:"nodeName"`

	// maintenance keeps new pods with volumes of the driver off the node, and keeps Roost from moving any pod away from
	// it. It is the operator's: Roost never writes it.
	// +optional
	Maintenance bool `json:"maintenance,omitempty"`
}

// StorageNodeStatus is Roost's verdict, and the journal of the failover that followed from it.
type StorageNodeStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// state is the verdict.
	// +optional
	State HealthState `json:"state,omitempty"`

	// since is when state became what it is.
	// +optional
	Since *metav1.MicroTime `json:"since,omitempty"`

	// storageState is what the storage system says, Unknown while it is silent.
	// +optional
	// +kubebuilder:validation:Enum=Online;Degraded;StorageDown;Maintenance;Offline;Unknown
	StorageState string `json:"storageState,omitempty"`

	// reason is one word for why state is what it is.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// message tells a person what happened, and what Roost does next.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`

	// volumes is how many of the driver's volumes pods on the node use.
	// +optional
	Volumes int32 `json:"volumes"`

	// podsAtRisk is how many pods on the node use volumes of the driver while its storage is not healthy.
	// +optional
	PodsAtRisk int32 `json:"podsAtRisk"`

	// failover is the last failover of the node, or the one that is going on.
	// +optional
	Failover *Failover `json:"failover,omitempty"`

	// conditions are Reporting and Braked.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Failover is what Roost did, or would do, about the pods of a node whose storage failed.
type Failover struct {
	// startTime is when the verdict made the failover due.
	// +required
	StartTime metav1.MicroTime `json:"startTime"`

	// completionTime is when no pod was left that could be moved away. It is not set while the failover goes on.
	// +optional
	CompletionTime *metav1.MicroTime `json:"completionTime,omitempty"`

	// dryRun is true where Roost only says what it would do.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`

	// moved is how many pods were moved away.
	// +optional
	Moved int32 `json:"moved"`

	// refused is how many pods Roost leaves on the node, or cannot move on yet.
	// +optional
	Refused int32 `json:"refused"`

	// pods are those left on the node and why, the first 32 by namespace and name.
	// +optional
	// +listType=map
	// +listMapKey=uid
	// +kubebuilder:validation:MaxItems=32
	Pods []PodOnNode `json:"pods,omitempty"`
}

// PodOnNode is a pod that a failover did not move away, or not yet.
type PodOnNode struct {
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +required
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid"`
	// reason is one word for why the pod is still there.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason"`
	// message tells a person why, and what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// StorageNode is Roost's view of a storage system's part on one node: what an operator looks at first.
//
// Roost makes one for every node that a storage system with volumes is on, and owns its status. The spec's maintenance is the operator's.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=snode,categories=roost
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Driver",type=string,JSONPath=`.spec.provisioner`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.spec.nodeName`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Storage",type=string,JSONPath=`.status.storageState`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.since`
// +kubebuilder:printcolumn:name="Volumes",type=integer,JSONPath=`.status.volumes`
// +kubebuilder:printcolumn:name="At-Risk",type=integer,JSONPath=`.status.podsAtRisk`
// +kubebuilder:printcolumn:name="Last-Failover",type=date,JSONPath=`.status.failover.startTime`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
type StorageNode struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the storage system and the node, and says what the operator wants.
	// +required
	Spec StorageNodeSpec `json:"spec"`

	// status is Roost's verdict.
	// +optional
	Status StorageNodeStatus `json:"status,omitempty"`
}

// StorageNodeList is a list of StorageNode objects.
//
// +kubebuilder:object:root=true
type StorageNodeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []StorageNode `json:"items"`
}
