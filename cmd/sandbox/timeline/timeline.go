// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Moment is something that happens once to a pod that is followed.
type Moment int

const (
	// Fault is when the node failed, as the caller says.
	Fault Moment = iota
	// Verdict is when the StorageNode said that the node's storage had failed.
	Verdict
	// Evicted is when the pod was told to end, or was gone without that.
	Evicted
	// Gone is when the pod was gone.
	Gone
	// Detached is when its volume was not attached to the node any more.
	Detached
	// Bound is when the pod in its place had a node.
	Bound
	// Started is when kwok called the pod in its place Running, which it does without waiting for volumes.
	Started
	// Running is when the pod in its place was Running and its volume attached to its node: a kubelet waits for that.
	Running

	moments
)

// Failure is a fault of a node and a pod there.
type Failure struct {
	// Pod is the pod's name, and the name of the one that is made in its place.
	Pod string
	// UID is the pod's.
	UID types.UID
	// Node is where it runs, and what fails.
	Node string
	// Volume is the PersistentVolume of the pod.
	Volume string
	// Provisioner is the volume's CSI driver.
	Provisioner string
	// At is when the fault was caused.
	At time.Time
}

// Timeline is what happened after a failure so far. It is a value that does not change.
type Timeline struct {
	Failure
	// NewNode is the node of the pod in the first one's place, empty while there is none.
	NewNode string
	// Stamps are when the moments came, zero for those that did not.
	Stamps [moments]time.Time
}

// Since is how long after the fault a moment was, and false where it did not come.
func (t *Timeline) Since(m Moment) (time.Duration, bool) { return t.Between(Fault, m) }

// Between is how long after one moment another one was, and false where one of them did not come.
func (t *Timeline) Between(from, to Moment) (time.Duration, bool) {
	if t.Stamps[from].IsZero() || t.Stamps[to].IsZero() {
		return 0, false
	}
	return t.Stamps[to].Sub(t.Stamps[from]), true
}
