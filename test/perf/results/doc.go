// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package results is what a run of `make bench` leaves behind: a JSON file, from which the page and the picture are made.
//
// It holds what was measured and where, and judges nothing.
package results
