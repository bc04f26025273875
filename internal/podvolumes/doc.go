// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podvolumes follows a pod's volumes to their claims, PersistentVolumes and StorageClasses. It is the only place
// that does, so that every part of Roost sees the same volumes.
//
// It reads listers, in other words memory, and never the API server. It judges nothing: a claim that is missing, unbound
// or being deleted is a volume with that status, and what it means is the caller's to decide. Volumes without a claim
// (CSI inline, emptyDir, configMap and the like) hold no data of their own and are left out.
package podvolumes
