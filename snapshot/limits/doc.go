// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limits says which snapshots and restores may load the storage systems now, so that a thousand of them at one tick
// are no herd.
//
// Its input is who wants to begin, with how many operations on which CSI driver, and who has ended; its output is a yes, or
// a call once the place is there.
//
// Invariants: what entered never exceeds a limit of a driver, a namespace or the cluster, but for one whose load is larger
// than the limit itself: that one goes alone. A free place goes to the namespace that has the least in flight, then to whoever
// waited longest. Nobody starves: who was passed by too many goes first, and places are kept for him.
//
// It keeps everything in memory, calls nobody while it holds its lock, and asks nothing of the API server.
package limits
