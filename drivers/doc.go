// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drivers is the seam between Roost and storage systems: the contract that a driver fulfils, the registry that
// finds the driver of a volume, and the metrics of every call through it.
//
// A driver keeps what its storage system knows in memory, fresh from its own watch, stream or poll, and answers from
// there. Answers carry the time of the observation; the registry turns those past the driver's MaxAge into Unknown.
// Nothing behind Locator, HealthReporter and Fencer does I/O or blocks: they are called while a pod is being placed.
//
// Out of tree, import this package and build a scheduler with one more driver, or publish VolumeTopology and
// StorageReport objects and build nothing.
package drivers
