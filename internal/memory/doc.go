// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory answers reads of objects that are followed anyway.
//
// Its input are indexers that informers and mirrors fill, one a kind; its output is a client.Reader over them, so that a
// loop and its tests say client.Reader and nothing about where objects come from.
//
// Invariants: what it returns is a copy. It asks the API server nothing. A kind that it does not follow is an error, and one
// that the API server does not serve is a meta.NoKindMatchError, as from any client.
//
// What it says may be old. Whoever destroys something reads the API server first.
package memory
