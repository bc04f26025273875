// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package orphans reports snapshots in the storage system that nobody has any more: VolumeSnapshotContents whose VolumeSnapshot
// is gone.
//
// Its inputs are the VolumeSnapshotContents and VolumeSnapshots in memory; its outputs are a gauge by CSI driver and reason, and
// one event on each such content.
//
// Invariants: a content is reported when two looks, at least the grace apart, have found it so. Those of another snapshot of the
// same name are told apart by UID.
//
// It deletes nothing, ever: what is left may be the last copy of somebody's data.
package orphans
