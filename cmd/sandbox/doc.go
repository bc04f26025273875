// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Command sandbox runs a whole Kubernetes control plane on this machine, with simulated nodes and storage.
//
// Input: its flags, and the programs that `make build` puts beside it. Output: lines on the screen; exit code 0 only if
// everything held. Ctrl-C ends it at any time, and nothing is left behind.
//
// It never uses the network beyond loopback, nor a kubeconfig that it did not write.
package main
