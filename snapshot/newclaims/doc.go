// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package newclaims restores ApplicationSnapshots into claims that do not exist yet.
//
// Its inputs are SnapshotRestores with spec.newClaims, and the snapshots that they name; its outputs are claims whose
// dataSource is a VolumeSnapshot, and the status of the SnapshotRestore, which is the journal. A snapshot of another namespace
// is read through a copy: a VolumeSnapshotContent of our own for the same snapshot of the storage system, with a
// VolumeSnapshot in the restore's namespace, both removed again when the claims are bound.
//
// Invariants: nothing is made before all of it has been checked, and written into the journal. A claim that exists is left
// alone. A restore that is over makes nothing any more, whatever becomes of its claims. One that fails removes what it made,
// but nothing that a pod uses or has used. A copy never owns the snapshot: its deletionPolicy is Retain, and it is removed
// only when it is read so. What a claim that waits for its first pod is filled from stays as long as the claim waits.
//
// It deletes no VolumeSnapshot that it did not make, and never a claim of a restore that is completed.
package newclaims
