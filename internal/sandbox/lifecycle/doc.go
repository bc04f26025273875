// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle tests that a sandbox starts, tells what died, makes kubelets and node plugins fail as real ones do, and
// leaves nothing behind, with the real programs.
//
// Inputs: the programs that `make build` makes. It counts processes and files before and after; it never ends a process
// that it did not start.
package lifecycle
