// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is the model of simstorage: nodes with pools, volumes with replicas, attachments, snapshots, and the
// faults that a test injects.
//
// Inputs are the Kubernetes nodes, what is published on them, the requests of the CSI service and the faults of the admin
// API. Outputs are views (copies that a caller may keep) and events that say which volume or node changed.
//
// Invariants:
//   - A volume has at most one replica a node, and its size is charged to the pool of every node with a replica, whatever
//     the replica's state. Snapshots are thin and are charged to no pool.
//   - The members of a group snapshot are cut at one moment, all or none, and are deleted together.
//   - Volumes survive their nodes: when a Node object goes, the replicas on it stay and are not usable until it is back.
//   - Faults are independent. A node's storage state does not change the state of the replicas on it, so that a test
//     decides both; what cannot serve is decided by usable alone.
//   - An attachment ends only when the node confirms it, so a node that is cut off keeps its volumes, unless it is fenced
//     from them. A forced detach breaks that rule on purpose: the node may go on writing, and a second writer is recorded
//     as a violation. So is a volume for one writer that is published on two nodes, neither of which is fenced.
//   - What is fenced from a node cannot be written there, and not be attached anew. A fence lasts until the node can be
//     reached and the volume is neither attached to nor published on it.
//
// All state is in memory: a restart forgets every volume. The package does no I/O, starts no goroutine, reads time only
// from its clock and knows neither CSI nor the Kubernetes API's clients. What volumes hold is not its business: package
// content keeps that.
package cluster
