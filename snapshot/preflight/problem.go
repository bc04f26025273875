// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"slices"
	"strings"
)

// Why a snapshot cannot begin. They are part of the API: they stand in conditions and events.
const (
	// ReasonCRDsMissing is that the API server does not serve VolumeSnapshots, or VolumeGroupSnapshots where they are asked for.
	ReasonCRDsMissing = "CRDsMissing"
	// ReasonNoMatchingPVCs is that the selector takes no claim that can be taken.
	ReasonNoMatchingPVCs = "NoMatchingPVCs"
	// ReasonTooManyClaims is that the selector takes more than one snapshot can have.
	ReasonTooManyClaims = "TooManyClaims"
	// ReasonClaimNotFound is that a claim that is named does not exist.
	ReasonClaimNotFound = "ClaimNotFound"
	// ReasonClaimNotBound is that a claim is Pending, Lost or being deleted, or that it and its PersistentVolume do not agree.
	ReasonClaimNotBound = "ClaimNotBound"
	// ReasonRestoring is that a claim is being restored in place: its content is about to be another.
	ReasonRestoring = "Restoring"
	// ReasonNotSnapshottable is that no CSI driver has the volume.
	ReasonNotSnapshottable = "NotSnapshottable"
	// ReasonNoClass is that there is not exactly one class to use.
	ReasonNoClass = "NoClass"
	// ReasonMixedDrivers is that a group has claims of several CSI drivers.
	ReasonMixedDrivers = "MixedDrivers"
	// ReasonInvalid is a field that cannot be read.
	ReasonInvalid = "InvalidSpec"
	// ReasonQuotaExceeded is that a ResourceQuota has no room for the objects.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonSeveralProblems is more than one of them.
	ReasonSeveralProblems = "SeveralProblems"
)

// Problem is one thing that stands in the way of a snapshot.
type Problem struct{ Reason, Message string }

// Problems are all of them, and an error.
type Problems []Problem

// Error implements error.
func (p Problems) Error() string {
	messages := make([]string, 0, len(p))
	for _, problem := range p {
		if !slices.Contains(messages, problem.Message) {
			messages = append(messages, problem.Message)
		}
	}
	return strings.Join(messages, "; ")
}

// Reason is the one that all have, or ReasonSeveralProblems.
func (p Problems) Reason() string {
	for _, problem := range p {
		if problem.Reason != p[0].Reason {
			return ReasonSeveralProblems
		}
	}
	return p[0].Reason
}
