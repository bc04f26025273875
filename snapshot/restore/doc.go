// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restore settles what a SnapshotRestore makes of an ApplicationSnapshot, checks that it can, and makes claims.
//
// Inputs: the spec of the restore, the members of the snapshot, and what the API server says of both. Outputs: the claims to
// make, by name, size and class, or every reason why they cannot be made, each with its field, its value and what is allowed
// (NewClaims, which reads no cluster); the snapshot and the contents of its members (Source); claims that the storage system
// fills (Populator). What stands in the way is a Problem, which says whether waiting helps.
//
// Invariants: no two members go into one claim, and no claim is smaller than what its snapshot needs: the external
// provisioner would leave such a claim Pending for ever. All else that it refuses is checked before a claim is made, too. A
// VolumeSnapshot is restored from only while it and its content name each other. A snapshot of another namespace is read only
// with that namespace's consent. A claim that exists is never written to.
//
// It decides nothing about time: how long to wait is its callers' to know.
package restore
