// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Mode says how the claims of an ApplicationSnapshot are cut.
// +kubebuilder:validation:Enum=Group;Sequential;BestEffort
type Mode string

const (
	// ModeGroup cuts all claims at one instant, by a VolumeGroupSnapshot. Where the storage system cannot, there is no
	// snapshot: it is not replaced by another mode in silence.
	ModeGroup Mode = "Group"
	// ModeSequential cuts one claim after the other, all or none. Their contents belong together only if hooks keep the
	// application from writing meanwhile.
	ModeSequential Mode = "Sequential"
	// ModeBestEffort cuts each claim by itself. A claim that cannot be cut takes no other along.
	ModeBestEffort Mode = "BestEffort"
)

// Consistency is what the contents of a snapshot are worth.
// +kubebuilder:validation:Enum=Application;Crash;Unknown
type Consistency string

const (
	// ConsistencyApplication is that every claim was cut while the hooks kept the application still.
	ConsistencyApplication Consistency = "Application"
	// ConsistencyCrash is as after a power cut, all claims at one instant.
	ConsistencyCrash Consistency = "Crash"
	// ConsistencyUnknown is each claim as after a power cut, but not all at one instant.
	ConsistencyUnknown Consistency = "Unknown"
)

// Phase is how far something is, in one word. Conditions say more.
type Phase string

const (
	// PhasePending waits for its turn.
	PhasePending Phase = "Pending"
	// PhaseCutting makes the snapshots, with the hooks around them.
	PhaseCutting Phase = "Cutting"
	// PhaseUploading has cut, and waits until the storage system says that the snapshots can be restored.
	PhaseUploading Phase = "Uploading"
	// PhaseReady can be restored.
	PhaseReady Phase = "Ready"
	// PhaseFailed is over. What was made of it is removed.
	PhaseFailed Phase = "Failed"
)

// MemberState is how far one claim of a snapshot is.
// +kubebuilder:validation:Enum=Planned;Cutting;Cut;Ready;Failed
type MemberState string

const (
	// MemberPlanned has no VolumeSnapshot yet.
	MemberPlanned MemberState = "Planned"
	// MemberCutting has a VolumeSnapshot that the storage system has not cut, or is about to get one.
	MemberCutting MemberState = "Cutting"
	// MemberCut has its content fixed.
	MemberCut MemberState = "Cut"
	// MemberReady can be restored.
	MemberReady MemberState = "Ready"
	// MemberFailed has no snapshot and gets none.
	MemberFailed MemberState = "Failed"
)

const (
	// LabelSnapshot has on a VolumeSnapshot or VolumeGroupSnapshot the UID of the ApplicationSnapshot that it belongs to.
	LabelSnapshot = "snapshot.roost.dev/snapshot-uid"
	// FinalizerThaw keeps an ApplicationSnapshot until nothing is frozen that its journal tells how to thaw.
	FinalizerThaw = "snapshot.roost.dev/thaw"
)

const (
	// ConditionReady is True when an ApplicationSnapshot can be restored.
	ConditionReady = "Ready"
	// ConditionComplete is True when every claim has a snapshot. Only BestEffort can be ready without.
	ConditionComplete = "Complete"
	// ConditionThawed is False while pods may be frozen, and stays so when thawing failed.
	ConditionThawed = "Thawed"
)

// ApplicationSnapshotSpec says of what a snapshot is taken, and how.
// +kubebuilder:validation:XValidation:rule="has(self.claimNames) != has(self.selector)",message="exactly one of claimNames and selector must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.storageClassNames) || has(self.selector)",message="storageClassNames goes with selector"
// +kubebuilder:validation:XValidation:rule="self.mode == 'Group' || !has(self.volumeGroupSnapshotClassName)",message="volumeGroupSnapshotClassName goes with mode Group"
type ApplicationSnapshotSpec struct {
	// claimNames are the PersistentVolumeClaims of this namespace to take a snapshot of.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ClaimNames []string `json:"claimNames,omitempty"`

	// selector selects claims of this namespace by their labels. Which they are is settled once, when the snapshot begins. The
	// empty selector selects all.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// storageClassNames takes of those that the selector selects only those of these StorageClasses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	StorageClassNames []string `json:"storageClassNames,omitempty"`

	// mode says how the claims are cut.
	// +optional
	// +kubebuilder:default=Sequential
	Mode Mode `json:"mode,omitempty"`

	// hooks keep the application still during the cut.
	// +optional
	Hooks *Hooks `json:"hooks,omitempty"`

	// volumeSnapshotClassName is the VolumeSnapshotClass. Left out, it is the default one of each claim's CSI driver.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	VolumeSnapshotClassName string `json:"volumeSnapshotClassName,omitempty"`

	// volumeGroupSnapshotClassName is the VolumeGroupSnapshotClass. Left out, it is the default one of the CSI driver.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	VolumeGroupSnapshotClassName string `json:"volumeGroupSnapshotClassName,omitempty"`

	// cutDeadline is how long the storage system may take to cut, from when it is asked. With hooks, hooks.maxFreeze holds as well.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be between 1s and 24h"
	CutDeadline metav1.Duration `json:"cutDeadline,omitzero"`

	// readyDeadline is how long it may take from the cut until the snapshot can be restored. A storage system that uploads
	// may need hours.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="must be between 1s and 720h"
	ReadyDeadline metav1.Duration `json:"readyDeadline,omitzero"`

	// allowedNamespaces may restore it, besides its own. "*" is every namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	AllowedNamespaces []string `json:"allowedNamespaces,omitempty"`
}

// ApplicationSnapshotStatus is how far a snapshot is, and its journal.
type ApplicationSnapshotStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is how far it is, in one word.
	// +optional
	// +kubebuilder:validation:Enum=Pending;Cutting;Uploading;Ready;Failed
	Phase Phase `json:"phase,omitempty"`

	// startTime is when its claims were settled.
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`

	// cutTime is when the content of the last member was fixed, by the storage system's clock.
	// +optional
	CutTime *metav1.MicroTime `json:"cutTime,omitempty"`

	// readyTime is when it could be restored.
	// +optional
	ReadyTime *metav1.MicroTime `json:"readyTime,omitempty"`

	// consistency is what the contents are worth, once cut.
	// +optional
	Consistency Consistency `json:"consistency,omitempty"`

	// ready is how many members of how many can be restored, as 2/3.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Ready string `json:"ready,omitempty"`

	// message tells a person where it stands.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// groupSnapshotName is the VolumeGroupSnapshot, in mode Group.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	GroupSnapshotName string `json:"groupSnapshotName,omitempty"`

	// groupSnapshotUID is set once it exists: another one of that name is not this snapshot's.
	// +optional
	GroupSnapshotUID types.UID `json:"groupSnapshotUID,omitempty"`

	// volumeGroupSnapshotClassName is its class.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	VolumeGroupSnapshotClassName string `json:"volumeGroupSnapshotClassName,omitempty"`

	// members are the claims, one each.
	// +optional
	// +listType=map
	// +listMapKey=claimName
	// +kubebuilder:validation:MaxItems=100
	Members []SnapshotMember `json:"members,omitempty"`

	// freeze is the journal of the hooks.
	// +optional
	Freeze *Freeze `json:"freeze,omitempty"`

	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SnapshotMember is a claim and its snapshot.
type SnapshotMember struct {
	// +required
	// +kubebuilder:validation:MaxLength=253
	ClaimName string `json:"claimName"`
	// +required
	ClaimUID types.UID `json:"claimUID"`
	// driver is the name of the claim's CSI driver.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Driver string `json:"driver"`
	// volumeSnapshotClassName is empty in mode Group.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	VolumeSnapshotClassName string `json:"volumeSnapshotClassName,omitempty"`
	// volumeSnapshotName is the VolumeSnapshot, of this namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	VolumeSnapshotName string `json:"volumeSnapshotName,omitempty"`
	// volumeSnapshotUID is set once it exists: another one of that name is not this member's.
	// +optional
	VolumeSnapshotUID types.UID `json:"volumeSnapshotUID,omitempty"`
	// capacity of the claim when the snapshot began.
	// +optional
	Capacity *resource.Quantity `json:"capacity,omitempty"`
	// storageClassName, accessModes, volumeMode and labels are the claim's when the snapshot began. A claim that is made from
	// the snapshot gets them, even when the claim is long gone.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// +optional
	// +kubebuilder:validation:Enum=Filesystem;Block
	VolumeMode corev1.PersistentVolumeMode `json:"volumeMode,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`
	// restoreSize is the least size of a claim that is made from it.
	// +optional
	RestoreSize *resource.Quantity `json:"restoreSize,omitempty"`
	// cutTime is by the storage system's clock.
	// +optional
	CutTime *metav1.MicroTime `json:"cutTime,omitempty"`
	// state is how far the member is.
	// +required
	State MemberState `json:"state"`
	// message is why it failed, or what the storage system said last.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// ApplicationSnapshot is one restore point of some claims. Deleting it deletes the snapshots.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=appsnap,categories=roost
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name="Consistency",type=string,JSONPath=`.status.consistency`
// +kubebuilder:printcolumn:name="Cut",type=date,JSONPath=`.status.cutTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
type ApplicationSnapshot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec cannot change, but for allowedNamespaces.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.claimNames) == has(oldSelf.claimNames) && (!has(self.claimNames) || self.claimNames == oldSelf.claimNames)",message="claimNames cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="has(self.selector) == has(oldSelf.selector) && (!has(self.selector) || self.selector == oldSelf.selector)",message="selector cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="has(self.hooks) == has(oldSelf.hooks) && (!has(self.hooks) || duration(self.hooks.maxFreeze) == duration(oldSelf.hooks.maxFreeze) && self.hooks.commands.size() == oldSelf.hooks.commands.size() && self.hooks.commands.all(i, c, c.name == oldSelf.hooks.commands[i].name && c.freeze == oldSelf.hooks.commands[i].freeze && has(c.thaw) == has(oldSelf.hooks.commands[i].thaw) && (!has(c.thaw) || c.thaw == oldSelf.hooks.commands[i].thaw)))",message="hooks cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="has(self.hooks) == has(oldSelf.hooks) && (!has(self.hooks) || self.hooks.commands.size() == oldSelf.hooks.commands.size() && self.hooks.commands.all(i, c, has(c.podSelector) == has(oldSelf.hooks.commands[i].podSelector) && (!has(c.podSelector) || c.podSelector == oldSelf.hooks.commands[i].podSelector) && (has(c.container) ? c.container : '') == (has(oldSelf.hooks.commands[i].container) ? oldSelf.hooks.commands[i].container : '') && duration(c.timeout) == duration(oldSelf.hooks.commands[i].timeout) && c.onError == oldSelf.hooks.commands[i].onError && c.pods == oldSelf.hooks.commands[i].pods && c.timer == oldSelf.hooks.commands[i].timer))",message="hooks cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="self.mode == oldSelf.mode",message="mode cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="has(self.storageClassNames) == has(oldSelf.storageClassNames) && (!has(self.storageClassNames) || self.storageClassNames == oldSelf.storageClassNames)",message="storageClassNames cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="(has(self.volumeSnapshotClassName) ? self.volumeSnapshotClassName : '') == (has(oldSelf.volumeSnapshotClassName) ? oldSelf.volumeSnapshotClassName : '')",message="volumeSnapshotClassName cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="(has(self.volumeGroupSnapshotClassName) ? self.volumeGroupSnapshotClassName : '') == (has(oldSelf.volumeGroupSnapshotClassName) ? oldSelf.volumeGroupSnapshotClassName : '')",message="volumeGroupSnapshotClassName cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="duration(self.cutDeadline) == duration(oldSelf.cutDeadline)",message="cutDeadline cannot change: make another ApplicationSnapshot"
	// +kubebuilder:validation:XValidation:rule="duration(self.readyDeadline) == duration(oldSelf.readyDeadline)",message="readyDeadline cannot change: make another ApplicationSnapshot"
	Spec ApplicationSnapshotSpec `json:"spec"`

	// +optional
	Status ApplicationSnapshotStatus `json:"status,omitempty"`
}

// ApplicationSnapshotList is a list of ApplicationSnapshot objects.
//
// +kubebuilder:object:root=true
type ApplicationSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ApplicationSnapshot `json:"items"`
}
