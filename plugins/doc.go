// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugins is what the scheduler's plugins share: the process's storage drivers, and its memory of StorageNode
// objects, of CSI snapshots and of storage pools, each made from the first framework handle that a plugin is given, and kept
// fresh from then on; and what the plugins do alike to wake pods and to sign them. The plugins themselves are one folder each,
// thin adapters between the scheduler framework and what decides.
//
// It writes no object, and a storage system or a CustomResourceDefinition that is missing keeps nothing from starting.
package plugins
