// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cuts makes the VolumeSnapshots of one ApplicationSnapshot, or its VolumeGroupSnapshot, says what became of them, and
// removes them.
//
// Its input is an ApplicationSnapshot whose members are settled, and the API; its output stands in the members of its status,
// which the caller writes.
//
// Invariants: names follow from the ApplicationSnapshot and the claim, so that making twice makes one. What is made carries the
// UID of its ApplicationSnapshot as a label, and is owned by it. What the status has a UID of and is gone has failed, and is not
// made again. Nothing is believed of a snapshot that is not bound both ways. A snapshot is cut when it has a creation time, and
// ready only when the storage system says so; ready beats an error that is older. Only what carries our UID is deleted, by its own
// UID.
//
// A VolumeGroupSnapshot selects its claims by a label that is put on just those, because the snapshot-controller heeds nothing
// else of a selector: https://github.com/kubernetes-csi/external-snapshotter/pull/1286.
//
// It writes no status, decides nothing about the whole, and waits for nothing.
package cuts
