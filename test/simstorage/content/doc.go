// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package content keeps the bytes of simstorage's volumes and snapshots as files, so that a test can see what a restored
// volume really holds.
//
// Its input is a data directory of its own and what the CSI service does to volumes and snapshots, by their ids; its output
// is one directory for each of them that has content. Who plays a pod reads and writes files below a volume's directory:
//
//	<data>/volumes/<handle>/...     what a volume holds; made by who writes first, so that an empty volume costs nothing
//	<data>/snapshots/<id>/...       what a snapshot holds
//	<data>/write.lock               held by whoever copies; see below
//
// Invariants:
//   - A copy is whole or not there: it is made aside and renamed. A copy that is there is never made again, so that a call
//     may be repeated after its source has changed.
//   - All the copies of one Cut show one instant for every writer that holds a shared flock(2) on write.lock while it writes
//     (`flock -s "$SIM_DATA/write.lock" ...` in a shell). A writer that does not take the lock can be cut in the midst.
//   - Nothing outside the data directory is read or written, whatever links a volume holds: links are copied as links, and
//     files that are neither regular, directories nor links are left out.
//
// Owners, times and hard links are not kept. It knows nothing of sizes, replicas, faults or CSI, and never deletes a data
// directory: who chose it does.
package content
