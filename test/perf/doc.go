// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package perf measures how fast pods are placed, and where, with upstream's scheduler_perf: by the stock scheduler, by a profile
// in which Roost only scores, and by the shipped profile.
//
// Inputs: performance-config.yaml, in upstream's format, which says what is measured; the shipped configuration of the scheduler;
// the shipped definitions of our kinds. Outputs: a file of results, which test/perf/report makes a page and a picture of.
//
// All three profiles run in one binary, one after the other and in turns, each on an API server and an etcd of its own, with the
// same objects in it. Where the replicas are is published as a storage system publishes it, by VolumeTopology objects that the
// scheduler watches. What has to be there before pods are created (nodes, claims, volumes, locations) is no part of the time.
//
// `make bench` runs it. Nothing here runs in `make test` but a check of the configuration.
package perf
