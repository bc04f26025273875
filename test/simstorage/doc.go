// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Command simstorage is a small storage system for tests and demos: a CSI driver whose volumes have replicas on the
// cluster's nodes, capacity, topology, snapshots (also of several volumes at one moment), clones, and faults that one can
// inject. With a data directory, volumes and snapshots hold real files, which whoever plays a pod reads and writes.
//
// Its inputs are the API server's nodes and pods, the CSI sidecars' calls on a unix socket and an admin API on the
// loopback interface; its outputs are the answers, VolumeTopology and StorageReport objects, and the volumes in use in the
// status of nodes, which is the kubelets' part. Everything but the files is in memory: a
// restart forgets all volumes, and needs a new data directory. It must never serve data that anybody wants to keep.
package main
