// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package taking takes ApplicationSnapshots: it is their loop, from the claims that are settled to the snapshot that can be
// restored.
//
// Its inputs are an ApplicationSnapshot, whose status is its journal, and the API; its outputs are that status, the objects
// that package cuts makes, and what package hooks runs in pods.
//
// Invariants: what is about to be done stands in the status before it is done. An application that may be frozen is thawed
// before anything else is looked at, also after a crash, and a run that was interrupted while it was frozen has failed: it is
// not frozen again. From the first freeze command to the last thaw one worker does nothing else. A snapshot that is not cut in
// time is deleted before the application is thawed, because the storage system may cut it later. What a snapshot is called
// (Application, Crash, Unknown) is what can be shown. A run that fails leaves nothing behind. What is gone is not made again.
//
// It has no schedule, and removes no snapshot that succeeded.
package taking
