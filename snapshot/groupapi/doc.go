// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package groupapi reads and writes VolumeGroupSnapshots in the version that the API server serves: v1, else v1beta2.
//
// Its input is a client that reads the API server itself, its output the objects as Go types of v1, which those of v1beta2
// equal in all that is used here.
//
// Invariants: the version is looked up at every call, so that kinds that are installed or upgraded later are found. A kind
// that is not served in either version is an error for which meta.IsNoMatchError is true.
//
// It decides nothing.
package groupapi
