// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// LabelSchedule has on an ApplicationSnapshot the UID of the SnapshotSchedule that made it.
	LabelSchedule = "snapshot.roost.dev/schedule-uid"
	// AnnotationPinned keeps an ApplicationSnapshot from retention while it is "true".
	AnnotationPinned = "snapshot.roost.dev/pinned"
)

const (
	// ConditionScheduled is True while the schedule makes runs: its fields are valid and it is not suspended.
	ConditionScheduled = "Scheduled"
	// ConditionRetained is False while retention cannot do its work.
	ConditionRetained = "Retained"
)

// DeletionPolicy says what becomes of snapshots when their schedule is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

const (
	// DeletionPolicyRetain keeps them, and nothing removes them but a person.
	DeletionPolicyRetain DeletionPolicy = "Retain"
	// DeletionPolicyDelete deletes them with the schedule.
	DeletionPolicyDelete DeletionPolicy = "Delete"
)

// Retention says which snapshots of a schedule are kept. A snapshot is kept while any of the numbers keeps it. Where none of
// last to monthly is set, age alone removes. Only ready snapshots count.
type Retention struct {
	// last keeps the newest.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Last int32 `json:"last,omitempty"`
	// hourly keeps the newest of each of the last hours that have one.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Hourly int32 `json:"hourly,omitempty"`
	// daily, in the schedule's time zone.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Daily int32 `json:"daily,omitempty"`
	// weekly, by ISO weeks.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Weekly int32 `json:"weekly,omitempty"`
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Monthly int32 `json:"monthly,omitempty"`
	// maxAge removes what is older, since its cut.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="must be at least 1m"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`
	// minReady is how many ready snapshots stay, whatever else is said.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinReady int32 `json:"minReady,omitempty"`
	// failed is how many that failed stay to be looked at.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Failed *int32 `json:"failed,omitempty"`
}

// SnapshotTemplate is what a schedule makes.
type SnapshotTemplate struct {
	// labels of each ApplicationSnapshot.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`
	// annotations of each ApplicationSnapshot.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
	// spec of each ApplicationSnapshot.
	// +required
	Spec ApplicationSnapshotSpec `json:"spec"`
}

// SnapshotScheduleSpec says when snapshots are taken, of what, and which are kept.
type SnapshotScheduleSpec struct {
	// schedule is a cron expression of five fields, a name such as @daily, or @every with a duration.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.contains('TZ=')",message="the time zone goes into timeZone"
	Schedule string `json:"schedule"`

	// timeZone is an IANA name, as Europe/Berlin. Left out, it is UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self != 'Local'",message="must be an IANA time zone"
	TimeZone string `json:"timeZone,omitempty"`

	// lastDayOfMonth has the schedule run on the last day of a month only, at the hour that the expression names.
	// +optional
	LastDayOfMonth bool `json:"lastDayOfMonth,omitempty"`

	// jitter delays each run by the same part of this, which namespace and name decide, so that not all schedules start at
	// once.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be between 0s and 24h"
	Jitter metav1.Duration `json:"jitter,omitzero"`

	// startingDeadline is how late a run may start that was missed. Of several the latest one runs. Left out, there is no
	// limit.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="must be at least 10s"
	StartingDeadline *metav1.Duration `json:"startingDeadline,omitempty"`

	// suspend makes no more runs. Retention by age waits as well. What is due meanwhile is not made up for.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// runNow starts one run when it changes to something that is not empty. The status has the last one that was heard.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	RunNow string `json:"runNow,omitempty"`

	// template is what each run makes.
	// +required
	Template SnapshotTemplate `json:"template"`

	// retention says which are kept.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.last) || has(self.hourly) || has(self.daily) || has(self.weekly) || has(self.monthly) || has(self.maxAge)",message="set at least one of last, hourly, daily, weekly, monthly and maxAge"
	Retention Retention `json:"retention"`

	// deletionPolicy says what becomes of the snapshots when the schedule is deleted.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// SkippedRun is a run that was not made.
type SkippedRun struct {
	// time is when it was due.
	// +required
	Time metav1.Time `json:"time"`
	// reason is one word: Missed, Overlap, Suspended, or NameTaken where something else has the run's name.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`
}

// SnapshotScheduleStatus is what the schedule did, and what it does next.
type SnapshotScheduleStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastScheduleTime is when the newest run was due that was made or skipped. No run before it is made any more.
	// +optional
	LastScheduleTime *metav1.Time `json:"lastScheduleTime,omitempty"`
	// resumedTime is when suspend was last taken back.
	// +optional
	ResumedTime *metav1.Time `json:"resumedTime,omitempty"`
	// suspended is the suspend that was heard last.
	// +optional
	Suspended bool `json:"suspended,omitempty"`
	// lastRunNow is the runNow that was heard last.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	LastRunNow string `json:"lastRunNow,omitempty"`
	// active is the ApplicationSnapshot that is being made.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Active string `json:"active,omitempty"`
	// lastSuccessTime is the cut of the newest ready ApplicationSnapshot.
	// +optional
	LastSuccessTime *metav1.Time `json:"lastSuccessTime,omitempty"`
	// lastSuccess is its name.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastSuccess string `json:"lastSuccess,omitempty"`
	// lastFailure is the name of the newest one that failed.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastFailure string `json:"lastFailure,omitempty"`
	// lastSkipped is the newest run that was not made.
	// +optional
	LastSkipped *SkippedRun `json:"lastSkipped,omitempty"`
	// nextRuns are when the next three start, with their jitter.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=3
	NextRuns []metav1.Time `json:"nextRuns,omitempty"`
	// nextRun is the first of them.
	// +optional
	NextRun *metav1.Time `json:"nextRun,omitempty"`
	// readySnapshots is how many there are.
	// +optional
	ReadySnapshots int32 `json:"readySnapshots"`
	// kept are those that retention would remove but for a guard, and the guard, the first 16.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Kept []KeptSnapshot `json:"kept,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// KeptSnapshot is an ApplicationSnapshot that retention spares.
type KeptSnapshot struct {
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +required
	UID types.UID `json:"uid"`
	// +required
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`
}

// SnapshotSchedule takes snapshots at times, and removes those that nobody wants any more.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=snapsched,categories=roost
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Schedule",type=string,JSONPath=`.spec.schedule`
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.timeZone`
// +kubebuilder:printcolumn:name="Suspend",type=boolean,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Next-Run",type=string,JSONPath=`.status.nextRun`
// +kubebuilder:printcolumn:name="Last-Success",type=date,JSONPath=`.status.lastSuccessTime`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.readySnapshots`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SnapshotSchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec SnapshotScheduleSpec `json:"spec"`

	// +optional
	Status SnapshotScheduleStatus `json:"status,omitempty"`
}

// SnapshotScheduleList is a list of SnapshotSchedule objects.
//
// +kubebuilder:object:root=true
type SnapshotScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []SnapshotSchedule `json:"items"`
}
