// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storagehealth is the scheduler-framework face of StorageHealth: it keeps pods off nodes where the storage of
// their volumes does not work.
//
// In go the pod's claims, what the storage drivers and the StorageNode objects say of each node, and the CSINode and
// CSIDriver objects. Out come, for pods with volumes of a CSI driver, nodes that are not feasible (health.go, filter.go) and
// points that a node loses (score.go). What nobody knows anything of is feasible and loses nothing.
//
// Between PreFilter and Score nothing calls the API server or a storage system. A pod that was kept off a node comes back
// when that node's storage is well again (waiting.go), or after an event of Kubernetes that may help it (events.go).
//
// It never touches a pod without volumes of a CSI driver, and never writes an object.
package storagehealth
