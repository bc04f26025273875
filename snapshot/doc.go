// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot runs the loops that take, schedule and restore snapshots.
//
// Its inputs are the API server and the informers that the controller manager has anyway; its outputs are the loops, each
// to be switched on by itself: Taking, Schedules, Restores and Orphans. What a loop does is in the package of its own below
// this one; here is what they read in memory (Feed), what wakes them, and how many work at a time.
//
// Invariants: a kind that the API server does not serve stops no loop, and is followed as soon as it is served. Requests of
// these loops count against a limit of their own, so that a thousand snapshots at one tick hold up no failover.
package snapshot
