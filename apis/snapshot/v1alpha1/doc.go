// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is how snapshots of claims are asked for, scheduled and restored.
//
// An ApplicationSnapshot is one restore point of some claims. A SnapshotSchedule makes them and removes those that nobody
// wants any more. A SnapshotRestore brings one back, into new claims or in place of those that it was taken of.
//
// All three are namespaced. Their spec is the user's; their status is the controller manager's alone, and its journal: what
// is about to be done stands there before it is done.
//
// +k8s:deepcopy-gen=package
// +kubebuilder:object:generate=true
// +groupName=snapshot.roost.dev
package v1alpha1
