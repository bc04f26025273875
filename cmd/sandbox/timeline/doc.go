// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package timeline records when what happens to a pod whose node fails: the fault, the verdict, the pod's eviction, and so on
// until a pod runs in its place.
//
// Inputs: the pods of one namespace, VolumeAttachments and StorageNodes, which it watches, and from the caller which pod is to
// be followed and when the fault was. Output: one Timeline for each. A moment is the time at which the watch told of it.
//
// What has happened stays so: a moment is recorded once. It writes nothing, and causes no fault itself.
package timeline
