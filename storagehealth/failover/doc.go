// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package failover moves pods away from a node whose storage failed, one careful step at a time.
//
// It is given the node, the pods that may be moved, and a function that says whether they still may be. Each call of
// Advance looks at the world, takes for each pod the one step that is due, and says what it waits for; the caller calls
// again when something changed or some time passed. Nothing is remembered that the API server does not have, except which
// pods were asked to leave, how long a PodDisruptionBudget has been in the way and how many pods were moved in the last
// minute: a restart continues where the world is.
//
// On a node that is Ready pods are evicted. One that does not terminate, or is on a node that is not Ready, is removed by
// force only with proof that the node can no longer write to any of its volumes.
//
// Before every write the pod, its node and the verdict are read again, the pod is judged anew, and what is deleted is deleted
// by UID. A gang is asked before any of it goes, and our out-of-service taint stays on no node that is Ready. It never
// touches a pod that it was not given, an attachment of another CSI driver, or a taint that is not its own.
package failover
