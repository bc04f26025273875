// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/internal/podvolumes"
)

// Annotation says on a pod, a claim or a StorageClass whether a failover may move the pod. On a CSIDriver, Disabled pauses
// every failover of that driver.
const Annotation = "roost.dev/failover"

// Candidate is a pod on the node with at least one volume of the provisioner.
type Candidate struct {
	// Pod is the cache's own and must not be changed.
	Pod *corev1.Pod
	// Volumes are all its volumes that have claims, also those of other provisioners.
	Volumes []podvolumes.Volume
	// Refusal is why the pod stays. The zero value means that it may be moved.
	Refusal Refusal
	// Gang are the other pods, wherever they run, that have to be moved with this one. Those of them that are candidates
	// themselves, on the same node, are not among them.
	Gang []*corev1.Pod
	// Beside are those: the other candidates of a gang that is moved as a whole.
	Beside []*Candidate
}

// Movable says that the pod may be moved.
func (c *Candidate) Movable() bool { return c.Refusal.Reason == "" }

// Refusal is why a pod stays on the node.
type Refusal struct {
	// Reason is one of the constants below.
	Reason string
	// Message tells a person what it is about, and what to do.
	Message string
}

// The reasons of refusals. They are part of the API: they stand in events and in the status of StorageNodes.
const (
	// DaemonSetPod belongs to the node.
	DaemonSetPod = "DaemonSetPod"
	// StaticPod is the kubelet's own (a mirror pod).
	StaticPod = "StaticPod"
	// NotControlled would not come back.
	NotControlled = "NotControlled"
	// FailoverDisabled is by annotation on the pod, a claim or a StorageClass, or by default.
	FailoverDisabled = "FailoverDisabled"
	// BadAnnotation has a value that is not Enabled or Disabled. Nobody is moved on a guess.
	BadAnnotation = "BadAnnotation"
	// PinnedVolume is another volume of the pod that only this node has: local, hostPath, or by the PersistentVolume's node affinity.
	PinnedVolume = "PinnedVolume"
	// OnlyCopy is a volume of the pod without a usable copy on another node.
	OnlyCopy = "OnlyCopy"
	// LocationUnknown is a volume of the pod whose copies nobody knows at the moment.
	LocationUnknown = "LocationUnknown"
	// ClaimNotBound is a claim of the pod that is missing, lost or foreign.
	ClaimNotBound = "ClaimNotBound"
	// NoOtherNode means that no other node could run the pod as far as its volumes go.
	NoOtherNode = "NoOtherNode"
	// GangWouldBreak means that the pod's PodGroup would have fewer than minMember pods.
	GangWouldBreak = "GangWouldBreak"
	// GangUnknown means that the pod's PodGroup could not be read. It is read again the next time.
	GangUnknown = "GangUnknown"
	// JustArrived came to the node when its storage had failed already.
	JustArrived = "JustArrived"
)
