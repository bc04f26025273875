// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs a whole Kubernetes control plane on this machine, with simulated nodes and storage, for the demo,
// for trying things by hand and for the integration tests.
//
// Inputs: the programs that `make build` makes, and this repository's manifests. Outputs: a running API server, a kubeconfig
// and clients. Etcd and the API server are started through envtest, every other program as a child process of ours; nodes
// are simulated by kwok, storage by simstorage behind the real CSI sidecars. Volumes hold real files (VolumeDir), and a
// command in a simulated pod (`kubectl exec`) is a process on this machine that sees them. Kubelets, node plugins and our
// controller managers can be made to fail while it runs.
//
// Invariants: everything a sandbox writes is in its one directory. Everything listens on loopback, and commands are run for
// the API server alone. Stop, a failing start and even the sudden death of this process leave no process and no file behind:
// a watchdog outlives this process for that. A command that makes itself a process group of its own (setsid) escapes it.
//
// It never uses the network, a container runtime or a kubeconfig that it did not write.
package sandbox
