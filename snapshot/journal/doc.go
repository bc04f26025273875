// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package journal writes the status of an object that is at the same time the record of what was begun.
//
// Its input is an object as it was read, its output at most one write each time somebody saves: none where the status is
// what the API server has already.
//
// Invariants: a write carries a resourceVersion that was read with the status that is replaced, so that whoever has seen less
// of it than the API server knows gets a conflict, and must not act. Somebody who only changes metadata is in nobody's way. What
// is about to be done is saved before it is done.
package journal
