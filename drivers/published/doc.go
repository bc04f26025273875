// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package published is the driver for storage systems that publish where their data is as VolumeTopology and
// StorageReport objects, so that no code of theirs is compiled in.
//
// It lists and watches both kinds and keeps of each object only what answers need. Where several objects speak for one
// volume, or for one storage system on one node, the oldest counts, then the first by name.
//
// A node is fenced from a volume where the VolumeTopology that counts for the volume names it as fenced.
//
// A VolumeTopology has no heartbeat. What a provisioner published is as old as the newest heartbeat among its
// StorageReports, as we saw it come; what a provisioner without any StorageReport published is too old for ever. A kind
// that the API server does not serve has no objects, and is looked for every five seconds.
//
// The driver never writes, and never drops what it knows because the API server is silent: age is the judge of that. It
// does not check that nodes exist.
package published
