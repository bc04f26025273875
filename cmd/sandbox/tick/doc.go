// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tick measures what it takes when thousands of snapshots are due at one moment: the requests to the API server for
// each, how many claims are cut at a time, and how long each snapshot waits for its turn.
//
// Input: a running sandbox without our controller manager. Outputs: lines that tell how far it is, and a Report, which has a
// Markdown table and says which snapshots did not become ready.
//
// The claims are provisioned by the CSI sidecars, and each has a SnapshotSchedule of its own, whose cron expression names the
// one minute at which all are due. Nobody is asked to make a snapshot: the manager's own clock does it. Requests are counted
// between the manager and the API server, from before that moment until the manager is at rest again.
//
// Invariants: only what the manager asks for its snapshots is in the figures, not what its other loops ask, nor what the CSI
// sidecars and the snapshot-controller do. A delay is of the snapshot's own due time, jitter included, as its schedule's
// status told it before.
package tick
