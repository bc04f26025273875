// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
)

// Reasons of Problems, as conditions have them.
const (
	ReasonSourceMissing       = "SourceMissing"
	ReasonSourceNotAllowed    = "SourceNotAllowed"
	ReasonSourceNotReady      = "SourceNotReady"
	ReasonSourceFailed        = "SourceFailed"
	ReasonSourceGone          = "SourceGone"
	ReasonSnapshotNotReady    = "SnapshotNotReady"
	ReasonSnapshotGone        = "SnapshotGone"
	ReasonSnapshotMisbound    = "SnapshotMisbound"
	ReasonCRDsMissing         = "CRDsMissing"
	ReasonClaimExists         = "ClaimExists"
	ReasonStorageClass        = "StorageClassUnusable"
	ReasonSizeTooSmall        = "SizeTooSmall"
	ReasonVolumeMode          = "VolumeModeDiffers"
	ReasonQuotaExceeded       = "QuotaExceeded"
	ReasonClaimRefused        = "ClaimRefused"
	ReasonNamespaceTerminates = "NamespaceTerminating"
)

// Problem is why something is not restored, in words for whoever asked for it.
type Problem struct {
	// Reason is for a condition.
	Reason  string
	Message string
	// Final says that it stays so. Otherwise it is worth waiting and trying again.
	Final bool
}

var _ error = (*Problem)(nil)

// Error implements error.
func (p *Problem) Error() string { return p.Message }

// AsProblem finds the Problem in an error. Other errors are the API server's, and are returned to be tried again.
func AsProblem(err error) (*Problem, bool) {
	var problem *Problem
	ok := errors.As(err, &problem)
	return problem, ok
}

// final is a Problem that stays.
func final(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Final: true}
}

// waiting is a Problem that may pass.
func waiting(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// unserved is a Problem where the API server does not serve a kind, and the error otherwise.
func unserved(err error, doing string) error {
	if meta.IsNoMatchError(err) {
		return waiting(ReasonCRDsMissing, "the API server does not serve what is needed: %v", err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Refused is the Problem that the API server has with an object that it does not let be made, or nil where the error is of
// another kind. A quota and an admission plugin may let it be made later.
func Refused(err error, what string) *Problem {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return final(ReasonNamespaceTerminates, "%s: the namespace is being deleted", what)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "quota"):
		return waiting(ReasonQuotaExceeded, "%s: %v", what, err)
	case apierrors.IsForbidden(err):
		return waiting(ReasonClaimRefused, "%s: %v", what, err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return final(ReasonClaimRefused, "%s: %v", what, err)
	}
	return nil
}
