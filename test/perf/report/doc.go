// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Command report makes docs/performance.md and its picture of the results of `make bench`.
//
// Inputs: a file of results, and on the way to it the output of Go's benchmarks and the programs whose size counts. Outputs: that
// file with those in it, the part of the page between its markers, and the picture. What was not measured is not in them.
package main
