// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is how a storage system tells Kubernetes where its data is and how its nodes are.
//
// A storage vendor writes both kinds; Roost only reads them. A VolumeTopology lists the replicas of one volume. A
// StorageReport is what the storage system says of one node, with a heartbeat; while the newest heartbeat of a
// provisioner is too old, everything that provisioner published is Unknown, and Unknown never moves a pod.
//
// Both are cluster-scoped. Their spec is their identity and cannot change; their status is the vendor's to write.
//
// +k8s:deepcopy-gen=package
// +kubebuilder:object:generate=true
// +groupName=storage.roost.dev
package v1alpha1
