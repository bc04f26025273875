// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package volumelocality is the scheduler-framework face of VolumeLocality: it places pods where their data is.
//
// A pod passes through the files in this order. prefilter.go resolves the pod's volumes once, into an immutable state, and
// narrows the nodes in play to the data nodes. filter.go and score.go look the node up in that state. postfilter.go widens
// the nodes when none fitted and brings the pod back at once, or has it wait or preempt. A pod that found no node comes back by
// events.go, at events of Kubernetes, by waiting.go, when its data is elsewhere, or by alarms.go, when its wait is over.
// postbind.go tells what the pod got, and of a bad annotation. Claims that are not bound yet pass through claims.go as well,
// which finds what they are made from and what room they need; room.go and reserve.go keep that room. kubevirt.go has the
// target of a live migration count all disks, and nothing on the node that is left.
//
// Between PreFilter and Score nothing calls the API server or a storage system, and nothing waits. What decides is in the
// package roost.dev/roost/volumelocality; nothing here does arithmetic on scores.
package volumelocality
