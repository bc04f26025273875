// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storagehealth keeps a verdict on every storage system's part on every node, publishes it as StorageNode objects,
// and moves pods away from nodes whose storage failed.
//
// What storage systems report comes from the drivers' registry, what the cluster is like from shared informers. Package
// verdict concludes from the reports, candidates says which pods may be moved, failover moves them; this package gathers,
// writes each StorageNode's status and tells of it in events and metrics.
//
// It is the only writer of a StorageNode's status. The status is written before what it announces is done, so that it is
// the journal from which a restart continues, once a change and never without one. It never writes a StorageNode's spec
// after it has made the object.
package storagehealth
