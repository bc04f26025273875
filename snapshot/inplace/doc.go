// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inplace restores claims under their names, and keeps what they had for a while.
//
// Inputs: a SnapshotRestore with spec.inPlace, the ApplicationSnapshot that it names, and the claims, volumes, pods and
// workloads as they are. Outputs: the claims with volumes that are made from the snapshot, the workloads with the replicas
// they had, and the old volumes, which spec.rollback brings back until rollbackWindow has passed or spec.confirm is true.
//
// The new volumes are made first, behind temporary claims, while the application runs. Then the claims are marked, so that
// RestoreGate holds new pods, the workloads are scaled to 0, and nothing goes on before no pod, no VolumeAttachment and no
// node has the volumes any more. A safety snapshot is taken of what is there. Only then are the claims deleted and made again,
// one volume for the other.
//
// Until the first claim is deleted everything can be taken back, and is: at an error, at the deadline, or when the
// SnapshotRestore is deleted. When one of several claims cannot get its new volume, those that have it get their old ones
// back. A SnapshotRestore that is deleted while claims change their volumes is ended first, forward. One that is deleted
// later leaves the old volumes where they are, with the reclaim policy Retain, and says so in an event. After a rollback the
// volumes that were made from the snapshot are kept for another rollbackWindow: what was written to them is nowhere else.
//
// Invariants: the status is written before what it announces is done, and every step looks at the world first, so that it can
// be repeated. Both volumes of a claim have the reclaim policy Retain while they change hands. A claim or a volume is
// touched only if it is the one of the journal, by UID and as it was read. What somebody else made under the name of a claim
// is never deleted. No pod is forced to end.
package inplace
