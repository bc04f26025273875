// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SafetySnapshot says whether the present state is kept as a snapshot before it is replaced.
// +kubebuilder:validation:Enum=Required;None
type SafetySnapshot string

const (
	// SafetySnapshotRequired replaces nothing before an ApplicationSnapshot of the present state is ready.
	SafetySnapshotRequired SafetySnapshot = "Required"
	// SafetySnapshotNone relies on the old volumes, which are kept for rollbackWindow.
	SafetySnapshotNone SafetySnapshot = "None"
)

// RestorePhase is how far a SnapshotRestore is.
type RestorePhase string

const (
	// RestorePending checks, or waits for its turn.
	RestorePending RestorePhase = "Pending"
	// RestoreStopping scales the workloads to 0 and waits until nothing uses the claims.
	RestoreStopping RestorePhase = "Stopping"
	// RestoreSecuring waits for the safety snapshot.
	RestoreSecuring RestorePhase = "Securing"
	// RestorePopulating has the storage system make the new volumes.
	RestorePopulating RestorePhase = "Populating"
	// RestoreSwapping gives the claims their new volumes.
	RestoreSwapping RestorePhase = "Swapping"
	// RestoreStarting scales the workloads up again.
	RestoreStarting RestorePhase = "Starting"
	// RestoreCompleted is done. In place, the old volumes are kept until rollbackWindow has passed or confirm is true.
	RestoreCompleted RestorePhase = "Completed"
	// RestoreRollingBack gives the claims their old volumes again.
	RestoreRollingBack RestorePhase = "RollingBack"
	// RestoreRolledBack has them.
	RestoreRolledBack RestorePhase = "RolledBack"
	// RestoreFailed is over, with everything as it was before.
	RestoreFailed RestorePhase = "Failed"
)

const (
	// ConditionRestored is True when every claim has the content of the snapshot.
	ConditionRestored = "Restored"
	// ConditionUndoable is True while spec.rollback can bring the old content back.
	ConditionUndoable = "Undoable"
)

const (
	// LabelRestore has the UID of the SnapshotRestore on what it makes: claims, VolumeSnapshots and VolumeSnapshotContents.
	LabelRestore = "snapshot.roost.dev/restore-uid"
	// LabelTemporary is "true" on the claims behind which a restore in place makes the new volumes. No selector takes a snapshot of
	// them.
	LabelTemporary = "snapshot.roost.dev/temporary"
	// FinalizerRestore keeps a SnapshotRestore until what it began is ended or undone.
	FinalizerRestore = "snapshot.roost.dev/restore"
)

const (
	// AnnotationRestoredFrom has on what a restore makes the ApplicationSnapshot that it comes from, as namespace/name.
	AnnotationRestoredFrom = "snapshot.roost.dev/restored-from"
	// AnnotationRestoredBy has on what a restore makes the name of the SnapshotRestore.
	AnnotationRestoredBy = "snapshot.roost.dev/restored-by"
)

// AnnotationRestoring has on a claim the name of the SnapshotRestore that replaces its volume, while it does. No pod is
// scheduled with such a claim.
const AnnotationRestoring = "roost.dev/restoring"

// SnapshotSource is the ApplicationSnapshot to restore.
type SnapshotSource struct {
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// namespace of the ApplicationSnapshot. Left out, it is that of the SnapshotRestore. Another one has to name this one in
	// allowedNamespaces.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// NewClaims restores into claims that do not exist yet. What exists is never written over.
// +kubebuilder:validation:XValidation:rule="has(self.claims) || has(self.suffix) || has(self.replaceName)",message="set claims, suffix or replaceName"
// +kubebuilder:validation:XValidation:rule="!(has(self.suffix) && has(self.replaceName))",message="suffix and replaceName exclude each other"
type NewClaims struct {
	// claims name some members and what becomes of them. Where neither suffix nor replaceName is set, only these are restored.
	// +optional
	// +listType=map
	// +listMapKey=from
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Claims []NewClaim `json:"claims,omitempty"`
	// suffix is put behind the name of every member's claim that claims gives no name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[-.a-z0-9]*[a-z0-9]$`
	Suffix string `json:"suffix,omitempty"`
	// replaceName gives the claims of a StatefulSet the names that another one looks for: data-db-0 becomes data-db2-0.
	// +optional
	ReplaceName *ReplaceName `json:"replaceName,omitempty"`
	// storageClassName of the new claims. Left out, it is that of the old ones. Its CSI driver has to be the snapshot's.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`
	// labels are added to those of the old claims.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`
}

// ReplaceName names a StatefulSet whose claims were cut, and one that shall have them.
type ReplaceName struct {
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StatefulSet string `json:"statefulSet"`
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	With string `json:"with"`
}

// NewClaim is a member of a snapshot and the claim that is made from it.
type NewClaim struct {
	// from is the claim that was cut.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	From string `json:"from"`
	// to is the claim that is made. Left out, suffix or replaceName gives the name.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	To string `json:"to,omitempty"`
	// size of it. Left out, it is the old claim's, or what the snapshot needs if that is more. It cannot be less than what
	// the snapshot needs.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
	// storageClassName is for this claim alone.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`
}

// InPlace restores into the claims that were cut, under their names, and keeps the old volumes for a while.
type InPlace struct {
	// claimNames are the members to restore. Left out, these are all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ClaimNames []string `json:"claimNames,omitempty"`
	// safetySnapshot of the present state.
	// +optional
	// +kubebuilder:default=Required
	SafetySnapshot SafetySnapshot `json:"safetySnapshot,omitempty"`
	// rollbackWindow is how long the old volumes are kept after the restore.
	// +optional
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="must be between 1m and 8760h"
	RollbackWindow metav1.Duration `json:"rollbackWindow,omitzero"`
}

// SnapshotRestoreSpec says what is restored, and into what.
// +kubebuilder:validation:XValidation:rule="has(self.newClaims) != has(self.inPlace)",message="exactly one of newClaims and inPlace must be set"
// +kubebuilder:validation:XValidation:rule="self.source == oldSelf.source",message="source cannot change: make another SnapshotRestore"
// +kubebuilder:validation:XValidation:rule="has(self.newClaims) == has(oldSelf.newClaims) && (!has(self.newClaims) || self.newClaims == oldSelf.newClaims)",message="newClaims cannot change: make another SnapshotRestore"
// +kubebuilder:validation:XValidation:rule="has(self.inPlace) == has(oldSelf.inPlace) && (!has(self.inPlace) || has(self.inPlace.claimNames) == has(oldSelf.inPlace.claimNames) && (!has(self.inPlace.claimNames) || self.inPlace.claimNames == oldSelf.inPlace.claimNames) && self.inPlace.safetySnapshot == oldSelf.inPlace.safetySnapshot && duration(self.inPlace.rollbackWindow) == duration(oldSelf.inPlace.rollbackWindow))",message="inPlace cannot change: make another SnapshotRestore"
// +kubebuilder:validation:XValidation:rule="!has(self.inPlace) || !has(self.source.namespace)",message="inPlace restores a snapshot of its own namespace"
// +kubebuilder:validation:XValidation:rule="has(self.inPlace) || (!has(self.rollback) && !has(self.confirm))",message="rollback and confirm go with inPlace"
// +kubebuilder:validation:XValidation:rule="!(has(self.rollback) && self.rollback && has(self.confirm) && self.confirm)",message="rollback and confirm exclude each other"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.rollback) && oldSelf.rollback) || (has(self.rollback) && self.rollback)",message="rollback cannot be taken back"
type SnapshotRestoreSpec struct {
	// +required
	Source SnapshotSource `json:"source"`
	// newClaims restores into claims that do not exist yet.
	// +optional
	NewClaims *NewClaims `json:"newClaims,omitempty"`
	// inPlace restores into the claims that were cut.
	// +optional
	InPlace *InPlace `json:"inPlace,omitempty"`
	// rollback brings the old volumes back, while they are kept.
	// +optional
	Rollback bool `json:"rollback,omitempty"`
	// confirm gives the old volumes up before rollbackWindow has passed.
	// +optional
	Confirm bool `json:"confirm,omitempty"`
	// deadline is how long it may take: into new claims until they are made, in place until the swap begins, with all that it
	// waits for until then. A claim that waits for its first pod is not waited for. A rollback that has changed no claim by then is
	// ended.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="must be between 1s and 720h"
	Deadline metav1.Duration `json:"deadline,omitzero"`
}

// SnapshotRestoreStatus is how far a restore is, and its journal.
type SnapshotRestoreStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is how far it is, in one word.
	// +optional
	// +kubebuilder:validation:Enum=Pending;Stopping;Securing;Populating;Swapping;Starting;Completed;RollingBack;RolledBack;Failed
	Phase RestorePhase `json:"phase,omitempty"`
	// message tells a person where it stands, and what it waits for.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// startTime is when its claims were settled.
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`
	// completionTime is when the claims had the content of the snapshot and the workloads their replicas.
	// +optional
	CompletionTime *metav1.MicroTime `json:"completionTime,omitempty"`
	// sourceUID is the ApplicationSnapshot's: another one of that name is not restored.
	// +optional
	SourceUID types.UID `json:"sourceUID,omitempty"`
	// consistency of the snapshot.
	// +optional
	Consistency Consistency `json:"consistency,omitempty"`
	// safetySnapshotName is the ApplicationSnapshot of the state before.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SafetySnapshotName string `json:"safetySnapshotName,omitempty"`
	// workloads are those that were stopped.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Workloads []StoppedWorkload `json:"workloads,omitempty"`
	// claims are those that are restored.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Claims []RestoredClaim `json:"claims,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// StoppedWorkload is a workload that a restore in place scales to 0 and up again.
type StoppedWorkload struct {
	// +required
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion"`
	// +required
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +required
	UID types.UID `json:"uid"`
	// replicas is what it had, and gets again.
	// +required
	Replicas int32 `json:"replicas"`
	// owner may scale it meanwhile: an operator, or a HorizontalPodAutoscaler.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Owner string `json:"owner,omitempty"`
	// state is how far it is.
	// +required
	State WorkloadState `json:"state"`
}

// RestoredClaim is a claim, what it is made from, and the volumes it had and has.
type RestoredClaim struct {
	// name of the claim.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// from is the member's claim.
	// +required
	// +kubebuilder:validation:MaxLength=253
	From string `json:"from"`
	// volumeSnapshotName is what it is made from, in this namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	VolumeSnapshotName string `json:"volumeSnapshotName,omitempty"`
	// contentName is the VolumeSnapshotContent that a snapshot of another namespace is read through.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ContentName string `json:"contentName,omitempty"`
	// size that is asked for.
	// +required
	Size resource.Quantity `json:"size"`
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`
	// uid of the claim that was made.
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// temporaryClaim has the new volume until the swap.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	TemporaryClaim string `json:"temporaryClaim,omitempty"`
	// newVolume and oldVolume are PersistentVolumes.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	NewVolume string `json:"newVolume,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=253
	OldVolume string `json:"oldVolume,omitempty"`
	// oldReclaimPolicy and newReclaimPolicy are what the volumes had; both are Retain while they change hands.
	// +optional
	// +kubebuilder:validation:Enum=Retain;Delete;Recycle
	OldReclaimPolicy string `json:"oldReclaimPolicy,omitempty"`
	// +optional
	// +kubebuilder:validation:Enum=Retain;Delete;Recycle
	NewReclaimPolicy string `json:"newReclaimPolicy,omitempty"`
	// oldUID is the claim's before the swap.
	// +optional
	OldUID types.UID `json:"oldUID,omitempty"`
	// manifest is the claim as it was, in JSON.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Manifest string `json:"manifest,omitempty"`
	// state is how far the claim is.
	// +required
	State ClaimState `json:"state"`
	// message is what it waits for, or why it failed.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// SnapshotRestore brings an ApplicationSnapshot back.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=snaprestore,categories=roost
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Snapshot",type=string,JSONPath=`.spec.source.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Consistency",type=string,JSONPath=`.status.consistency`
// +kubebuilder:printcolumn:name="Completed",type=date,JSONPath=`.status.completionTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
type SnapshotRestore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec SnapshotRestoreSpec `json:"spec"`

	// +optional
	Status SnapshotRestoreStatus `json:"status,omitempty"`
}

// SnapshotRestoreList is a list of SnapshotRestore objects.
//
// +kubebuilder:object:root=true
type SnapshotRestoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []SnapshotRestore `json:"items"`
}
