// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package idle measures what the controller manager costs while nothing happens: its writes, its processor time and its
// memory, in a sandbox with many nodes and claims.
//
// Input: a running sandbox with the nodes of Nodes, without our controller manager. Outputs: lines that tell how far it is,
// and a Report, which has a Markdown table and says whether the promise was kept.
//
// Each claim has a bound PersistentVolume, a VolumeTopology with three replicas, an attachment, and a pod that runs. No data
// is behind them: they are made as objects, and simstorage does not know the volumes, but it reports on every node as it
// always does. Only what the manager asks of the API server is counted, by its own metrics. The renewals of its Lease are
// counted apart, by a watch.
package idle
