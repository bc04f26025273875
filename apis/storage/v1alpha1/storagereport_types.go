// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// StorageState says how a storage system is on one node.
// +kubebuilder:validation:Enum=Online;Degraded;StorageDown;Maintenance;Offline
type StorageState string

const (
	// StorageOnline serves I/O from the node's own storage.
	StorageOnline StorageState = "Online"
	// StorageDegraded serves I/O, with less redundancy or speed than it should.
	StorageDegraded StorageState = "Degraded"
	// StorageDown serves I/O only from replicas on other nodes.
	StorageDown StorageState = "StorageDown"
	// StorageMaintenance was taken out of service by an operator.
	StorageMaintenance StorageState = "Maintenance"
	// StorageOffline serves no I/O on the node.
	StorageOffline StorageState = "Offline"
)

// StorageReportSpec names a storage system's part on one node. It cannot change.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is the report's identity and cannot change; create another StorageReport"
type StorageReportSpec struct {
	// provisioner is the CSI driver's name, as in a PersistentVolume's spec.csi.driver.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Provisioner string `json:"provisioner"`

	// nodeName is the name of the Node object that the report is about.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	NodeName string `json:"nodeName"`
}

// StorageReportStatus is what the storage system says of the node.
type StorageReportStatus struct {
	// state is how the storage system is on the node.
	// +required
	State StorageState `json:"state"`

	// message tells a person why the state is what it is.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// heartbeatTime is when the storage system last confirmed what it publishes. Write it at least once a minute, and at
	// once when the state changes: after two minutes without a newer one the state is Unknown.
	// +required
	HeartbeatTime metav1.MicroTime `json:"heartbeatTime"`
}

// StorageReport is what a storage system says of its part on one node.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=sreport,categories=roost
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Provisioner",type=string,JSONPath=`.spec.provisioner`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.spec.nodeName`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Heartbeat",type=date,JSONPath=`.status.heartbeatTime`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
type StorageReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the storage system and the node.
	// +required
	Spec StorageReportSpec `json:"spec"`

	// status is what the storage system says.
	// +optional
	Status StorageReportStatus `json:"status,omitempty"`
}

// StorageReportList is a list of StorageReport objects.
//
// +kubebuilder:object:root=true
type StorageReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []StorageReport `json:"items"`
}
