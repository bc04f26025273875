// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is the command line of the sandbox: it reads flags, starts a sandbox and hands it to the person, the demo or the
// benchmark.
//
// Inputs: arguments, and a context that ends at Ctrl-C. Output: lines for a person, and the exit code. Every way out of a
// command stops the sandbox that it started.
package app
