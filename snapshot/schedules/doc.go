// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedules makes the ApplicationSnapshots that SnapshotSchedules ask for, and removes those that nobody wants any
// more.
//
// Its inputs are SnapshotSchedules, the ApplicationSnapshots with their UIDs as label, and what may use a snapshot:
// SnapshotRestores, PersistentVolumeClaims and VolumeSnapshotContents. Its outputs are ApplicationSnapshots, created and
// deleted, the schedules' statuses, events and metrics.
//
// Invariants:
//   - A slot has at most one ApplicationSnapshot: it is named after the slot, and the status keeps the last slot, so that one
//     that a person deleted is not made again.
//   - Nothing runs for a time before the schedule was created, resumed or edited.
//   - While a snapshot of the schedule is not cut, no other is begun. One that uploads holds nothing up.
//   - Nothing is created, deleted or given an owner by a schedule that was read from memory and is not the API server's.
//   - What is deleted has the schedule's UID as its label and a name as the schedule gives it, is neither pinned nor in use, and
//     is what the API server had a moment ago: by UID and resourceVersion. Restores and claims are listed there as well. When it
//     cannot be known what is in use, nothing is deleted.
//   - Retention works whether or not runs do. Without runs, suspended or invalid, it does not work by age.
//   - With nothing to change nothing is written.
//
// status.observedGeneration follows when a generation is carried out: runNow heard, owners set. Whoever changes
// deletionPolicy waits for it before deleting the schedule.
//
// It never deletes a VolumeSnapshot, and never a snapshot to make room for another beyond what retention says.
package schedules
