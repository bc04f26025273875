// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restore settles what a SnapshotRestore makes of an ApplicationSnapshot.
//
// Inputs: the spec of the restore and the members of the snapshot. Outputs: the claims to make, by name, size and class, or
// every reason why they cannot be made, each with its field, its value and what is allowed.
//
// Invariants: no two members go into one claim, and no claim is smaller than what its snapshot needs: the external
// provisioner would leave such a claim Pending for ever.
//
// It reads no cluster: whether a claim exists already is not known here.
package restore
