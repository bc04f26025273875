// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OnError says what an error of a freeze command means.
// +kubebuilder:validation:Enum=Fail;Continue
type OnError string

const (
	// OnErrorFail makes no snapshot. What was frozen is thawed.
	OnErrorFail OnError = "Fail"
	// OnErrorContinue makes the snapshot all the same, and does not call it application-consistent.
	OnErrorContinue OnError = "Continue"
)

// HookPods says in which of the pods that match a hook runs.
// +kubebuilder:validation:Enum=All;One
type HookPods string

const (
	// HookPodsAll is every pod that is running and ready.
	HookPodsAll HookPods = "All"
	// HookPodsOne is the first of them by name.
	HookPodsOne HookPods = "One"
)

// FreezeTimer says whether the container itself thaws when nobody comes back.
// +kubebuilder:validation:Enum=Required;None
type FreezeTimer string

const (
	// FreezeTimerRequired starts a process in the container, before the freeze, that runs the thaw command when
	// hooks.maxFreeze has passed. It needs sh and sleep there; without them nothing is frozen.
	FreezeTimerRequired FreezeTimer = "Required"
	// FreezeTimerNone trusts the application to thaw by itself, or accepts that it stays frozen while nobody reaches it.
	FreezeTimerNone FreezeTimer = "None"
)

// Hooks are commands that run in pods around the cut.
type Hooks struct {
	// maxFreeze is how long pods are frozen at most, from the first freeze command to the last thaw.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('5m')",message="must be between 1s and 5m"
	MaxFreeze metav1.Duration `json:"maxFreeze,omitzero"`

	// commands run in this order before the cut, and in reverse order after it.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Commands []Hook `json:"commands"`
}

// Hook is a command that freezes an application, and the one that thaws it.
type Hook struct {
	// name tells hooks apart in the status.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// podSelector selects the pods, of the ApplicationSnapshot's namespace. Left out, these are the pods that use its claims.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`

	// container is where the commands run. Left out, it is the pod's default container.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`

	// freeze is run before the cut.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=4096
	Freeze []string `json:"freeze"`

	// thaw is run after the cut, in every pod where freeze was tried, however that ended. It must succeed where nothing is
	// frozen. Left out, there is nothing to undo, as after a flush.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=4096
	Thaw []string `json:"thaw,omitempty"`

	// timeout is how long one run of a command may take.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('5m')",message="must be between 1s and 5m"
	Timeout metav1.Duration `json:"timeout,omitzero"`

	// onError says what an error of freeze means.
	// +optional
	// +kubebuilder:default=Fail
	OnError OnError `json:"onError,omitempty"`

	// pods says in which of the pods the commands run.
	// +optional
	// +kubebuilder:default=All
	Pods HookPods `json:"pods,omitempty"`

	// timer says whether the container thaws by itself when nobody comes back.
	// +optional
	// +kubebuilder:default=Required
	Timer FreezeTimer `json:"timer,omitempty"`
}

// FreezeState is how far a freeze is.
// +kubebuilder:validation:Enum=Freezing;Frozen;Thawing;Thawed;NotThawed
type FreezeState string

const (
	// Freezing is that a freeze command may run now, or have run.
	Freezing FreezeState = "Freezing"
	// Frozen is that all freeze commands have ended.
	Frozen FreezeState = "Frozen"
	// Thawing is that thaw commands run.
	Thawing FreezeState = "Thawing"
	// Thawed is that nothing is frozen.
	Thawed FreezeState = "Thawed"
	// NotThawed is that thaw commands failed until Roost gave up. A person must look.
	NotThawed FreezeState = "NotThawed"
)

// PodState is what was tried in a pod.
// +kubebuilder:validation:Enum=Planned;Attempted;Frozen;Failed;Thawed;Gone;NotThawed
type PodState string

const (
	// PodPlanned is a pod that nothing was tried in.
	PodPlanned PodState = "Planned"
	// PodAttempted is a pod where a command may run, or have run. It has to be thawed.
	PodAttempted PodState = "Attempted"
	// PodFrozen is a pod whose freeze command succeeded.
	PodFrozen PodState = "Frozen"
	// PodFailed is a pod whose freeze command failed. It has to be thawed.
	PodFailed PodState = "Failed"
	// PodThawed is a pod whose thaw command succeeded, or that has none to run.
	PodThawed PodState = "Thawed"
	// PodGone is a pod that is no more, or whose container was started anew, and what it froze with it.
	PodGone PodState = "Gone"
	// PodNotThawed is a pod whose thaw command failed until Roost gave up.
	PodNotThawed PodState = "NotThawed"
)

// Freeze is the journal of a freeze. It is written before the first command runs, so that whoever comes next knows what
// to thaw.
type Freeze struct {
	// runID marks the timers in the pods.
	// +required
	// +kubebuilder:validation:MaxLength=63
	RunID string `json:"runID"`

	// +required
	State FreezeState `json:"state"`

	// startTime is before the first command.
	// +required
	StartTime metav1.MicroTime `json:"startTime"`

	// deadline is when the pods thaw by themselves.
	// +required
	Deadline metav1.MicroTime `json:"deadline"`

	// frozenTime is when the last freeze command had ended.
	// +optional
	FrozenTime *metav1.MicroTime `json:"frozenTime,omitempty"`

	// thawTime is before the first thaw command.
	// +optional
	ThawTime *metav1.MicroTime `json:"thawTime,omitempty"`

	// pods are where commands run.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Pods []FrozenPod `json:"pods,omitempty"`
}

// FrozenPod is a pod in which a hook runs, and what it said.
type FrozenPod struct {
	// +required
	// +kubebuilder:validation:MaxLength=63
	Hook string `json:"hook"`
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +required
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid"`
	// +required
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container"`
	// containerID is the container's when the freeze began: one that was started anew is not frozen.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ContainerID string `json:"containerID,omitempty"`
	// restartCount is the container's when the freeze began, for where it has no ID.
	// +optional
	RestartCount int32 `json:"restartCount,omitempty"`
	// timerPID is the process in the container that thaws when nobody comes back. Empty where there is none.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	TimerPID string `json:"timerPID,omitempty"`
	// thaw is the command that undoes it, as it was when the freeze began.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Thaw []string `json:"thaw,omitempty"`
	// timeout of one run of a command.
	// +optional
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// state is what was tried.
	// +required
	State PodState `json:"state"`
	// output is the end of what the commands printed.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Output string `json:"output,omitempty"`
	// error is what went wrong.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Error string `json:"error,omitempty"`
}
