// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"time"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// Reasons of verdicts and brakes.
const (
	// ReasonServing is for storage that serves I/O.
	ReasonServing = "Serving"
	// ReasonOffline is for storage that serves no I/O.
	ReasonOffline = "StorageOffline"
	// ReasonReturned is for storage that serves I/O again, for too short a time to rely on.
	ReasonReturned = "StorageReturned"
	// ReasonOfflineAgain is for storage that stopped serving I/O while it recovered.
	ReasonOfflineAgain = "StorageOfflineAgain"
	// ReasonStorageSilent is for a storage system that does not say how it is.
	ReasonStorageSilent = "StorageSilent"
	// ReasonMaintenance is for what an operator took out of service.
	ReasonMaintenance = "Maintenance"
	// ReasonTooManyBadNodes is for so many bad nodes that the storage system or our view of it is broken, not the nodes.
	ReasonTooManyBadNodes = "TooManyBadNodes"
	// ReasonNotBad is for a node whose storage has not failed, or has come back since.
	ReasonNotBad = "NotBad"
)

// Key names a storage system's part on a node.
type Key struct{ Provisioner, Node string }

// Policy says how long reports must last until something is concluded from them.
type Policy struct {
	// UnhealthyAfter is how long the storage must be bad until it counts as failed.
	UnhealthyAfter time.Duration
	// BadReports is how many reports in a row must be bad as well.
	BadReports int
	// HealthyAfter is how long failed storage must be good until pods may come back.
	HealthyAfter time.Duration
	// ReportPeriod is how often every report is looked at, and how far apart two bad reports must be to count as two.
	ReportPeriod time.Duration
	// MaxUnhealthyPercent is how many percent of a provisioner's nodes may be bad before no pod is moved. 33 means a
	// third. One node may always be bad.
	MaxUnhealthyPercent int
}

// Verdict is what is concluded about a storage system's part on a node. It is an immutable value.
type Verdict struct {
	// State is the conclusion.
	State storagev1alpha1.HealthState
	// Since is when State became what it is, to the microsecond: that is what a status holds.
	Since time.Time
	// Storage is what the storage system says, Unknown while it is silent.
	Storage drivers.StorageState
	// Reason is one of this package's reasons.
	Reason string
	// Message tells a person what the storage system said when State, Storage or Reason last changed, and when State
	// changes next if nothing else does.
	Message string
	// FailingSince is when the first bad report came of those that led to State. It is zero for Healthy.
	FailingSince time.Time
}

// Failed says that pods are to be moved away, or were.
func (v Verdict) Failed() bool {
	return v.State == storagev1alpha1.HealthUnhealthy || v.State == storagev1alpha1.HealthFailedOver
}

// Equal says that a status made from v is the same as one made from o. FailingSince is in no status.
func (v Verdict) Equal(o Verdict) bool {
	return v.same(o) && v.Since.Equal(o.Since) && v.Message == o.Message
}

// same says that v concludes the same as o, for the same reason.
func (v Verdict) same(o Verdict) bool {
	return v.State == o.State && v.Storage == o.Storage && v.Reason == o.Reason
}
