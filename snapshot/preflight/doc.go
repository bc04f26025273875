// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package preflight finds out what a snapshot would take, and everything that stands in its way, before its first object is
// made.
//
// Its input is an ApplicationSnapshot, what is followed in memory, and the API server; its output are the members that the
// snapshot would have, or problems.
//
// Invariants: claims lead to their PersistentVolume, that to its CSI driver, and that to exactly one class. All problems are
// told at once, each with the claim or the field, the value and what is allowed. A selector that matches nothing is a problem,
// not a snapshot of nothing.
//
// Claims that a selector takes and that are not there for a snapshot (Pending, Lost, Terminating, or a restore's temporary ones)
// are left out, and said to be; one that is being restored in place is waited for;
// claims that have no snapshots at all are a problem, unless the mode is BestEffort. A claim that is named by its name is never
// left out: it is a problem, or in BestEffort a member that has failed.
//
// It writes nothing.
package preflight
