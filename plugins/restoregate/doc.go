// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restoregate holds pods back while the volume of one of their claims is being replaced by a restore.
//
// In go the pod and its claims as the scheduler knows them, generic ephemeral ones too. Out comes, for a pod with a claim
// that carries the annotation of a restore, that it does not enter the scheduling queue, with the name of the restore; and
// the events after which it does.
//
// A pod that waits here is tried on no node, so it costs nothing, preempts nobody, and needs no one to delete it again and
// again. Nothing is asked of the API server.
//
// It holds no pod that has a node already, and never writes an object. The restore waits by itself until no pod uses its
// claims: the gate makes that short, not safe.
package restoregate
