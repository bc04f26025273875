// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package volumelocality decides what each node is worth to a pod, by where the pod's volumes have their data.
//
// Its input is the pod's volumes with their policies and locations, and the labels of nodes. Its output is a Plan:
// immutable, made once for a pod, and from then on asked which nodes are allowed (Required), which to try first
// (Preferred), and what score a node has. It is pure: no clock, no lock, no I/O, no type of the scheduler framework.
// A volume whose location is not known counts for nothing, so that a silent storage system changes no placement.
package volumelocality
