// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package slots says when the runs of a SnapshotSchedule are due.
//
// Its input is the schedule's fields and a point in time, its output points in time. A slot is the instant at which a run is
// due; it is what a run is named after. Jitter moves when a run starts, never its slot.
//
// Invariants: a time that the clocks of the zone skip in spring is a slot at the first instant after the gap. A time that
// they show twice in autumn is a slot once, the first time: whoever wants a run every so often through that night says
// @every. Slots rise strictly, are whole seconds, and lie at least a minute apart. Of several missed runs at most one is
// made up for, the latest. A clock that jumps, by years too, costs no more than a hundred steps.
//
// It reads no clock, and never panics: not for an expression that the parser panics on either.
package slots
