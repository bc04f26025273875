// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workloads knows who uses claims, and has them stop and start.
//
// Inputs: the pods of a namespace, their controllers, and the workloads whose templates name the claims, all read from the API
// server. Outputs: the workloads to stop with the replicas they have, or every reason why somebody cannot be stopped; and
// scaling to 0 and back through the scale subresource.
//
// Invariants: nothing is scaled that is not the object that was found, by UID, or that changed since it was read. A
// workload that another restore stopped is not touched. One that somebody scaled up meanwhile, or made anew, is left as it
// is.
//
// It never deletes a pod, and never forces one to end: a pod that is forced away may still write.
package workloads
