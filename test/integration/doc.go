// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests our scheduler from the outside: the real binary, against a real API server, with the shipped
// configuration and role, on volumes that the real CSI sidecars provision.
//
// Inputs: the programs that `make build` makes, from the repository's bin folder or from where ROOST_BIN says. Outputs:
// the specs' verdicts, and the scheduler's log where one fails.
//
// Specs share one sandbox of 12 nodes, and have a namespace each that goes with them. A spec that changes what is not in its
// namespace (a node's storage, what the storage publishes, the scheduler itself) puts it back. They run one at a time.
//
// No spec sleeps, and none looks into the scheduler: what counts is where a pod is, and what its conditions and events say.
package integration
