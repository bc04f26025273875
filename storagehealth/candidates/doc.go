// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package candidates says which pods on a node whose storage failed can be moved away from it, and why not the others.
//
// It reads pods, claims, PersistentVolumes, StorageClasses, Nodes and CSINodes from shared informers, where volumes are
// from the drivers' registry, and Roost's verdict on other nodes from a function. It gathers all that into facts, and an
// ordered chain of pure checks judges each pod by them: the first check that refuses is the pod's answer. PodGroups alone are
// read from the API server, one GET for a group that has a pod which could otherwise be moved.
//
// A pod is moved only if it would come back (a controller), nobody forbids it (the annotation), all its data is to be had on
// another node, and some other node could run it as far as volumes, node affinity and taints go. What is not known is a refusal.
//
// The messages of refusals change only when what they tell of changes, so that they can stand in a status.
//
// The informers' transforms must keep of a pod its metadata but managedFields, spec.volumes, the containers' volumeMounts,
// nodeName, nodeSelector, affinity and tolerations, and status.phase, conditions and startTime.
//
// The package moves, marks and writes nothing, and remembers nothing between calls.
package candidates
