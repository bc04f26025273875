// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshottest is an API server, a snapshot-controller and a clock for tests, without a cluster.
//
// Its input is a script for each claim: when its snapshot is bound, cut and ready, what goes wrong, and when; its outputs are
// the objects that a snapshot-controller and a CSI driver would have written by then.
//
// Invariants: nothing moves but by the clock, and nothing runs beside the test: whoever waits on the clock moves it, and has the
// controller play. UIDs are given to what is created, and a deletion with another UID is refused, which the fake client of
// controller-runtime does not do. A process may crash at any of its writes: from then on all its calls fail.
//
// It is for tests only.
package snapshottest
