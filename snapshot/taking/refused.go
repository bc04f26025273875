// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// refusedError is that the API server will not have a status, now or later.
type refusedError struct{ error }

// Unwrap implements errors.Unwrap.
func (e *refusedError) Unwrap() error { return e.error }

// lastingly makes a refusedError of an error that another try gets too.
func lastingly(err error) error {
	// etcd's limit comes as an error of no kind.
	if apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err) || err != nil && strings.Contains(err.Error(), "request is too large") {
		return &refusedError{err}
	}
	return err
}

// refused ends a run that cannot be written down, with the status that could be. Else it would hold its place for ever.
func (run *run) refused(ctx context.Context, err error) (reconcile.Result, error) {
	run.Gate.Leave(run.key)
	run.j = open(run.Client, run.j.Before())
	switch run.status().Phase {
	case "", snapshotv1alpha1.PhasePending, snapshotv1alpha1.PhaseCutting:
		return run.fail(ctx, ReasonStatusRefused, "the API server refuses the status: "+err.Error())
	default:
		return reconcile.Result{}, err
	}
}
