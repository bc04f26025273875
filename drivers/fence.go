// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import "time"

// Fencer has proof that a node can no longer write to a volume.
type Fencer interface {
	// Fenced answers from memory and is safe for concurrent use. It is false where there is no proof. That a node is
	// silent, or that time has passed, is no proof.
	Fenced(id VolumeID, node string) (Fence, bool)
}

// Fence is proof that a node can no longer write to a volume, for as long as the driver answers with it.
type Fence struct {
	// Message tells a person what the proof is.
	Message string
	// ObservedAt is when the storage system last confirmed it. Zero is for what cannot age.
	ObservedAt time.Time
}
