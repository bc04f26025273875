// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"roost.dev/roost/drivers"
)

func TestReportSaysWhyALeaseIsNotKnown(t *testing.T) {
	const unknown = "the node is not Ready, and whether its kubelet renews its lease is not known"
	for name, tc := range map[string]struct {
		do   func(*seen)
		want string
	}{
		"it was not read yet": {do: func(*seen) {}, want: unknown + " yet"},
		"it was read once":    {do: func(s *seen) { s.wait(leaseInterval) }, want: unknown + " yet"},
		"it cannot be read":   {do: func(s *seen) { s.readsFail(leaseInterval) }, want: unknown + ": reading its lease failed: no answer"},
		"it could not be read": {
			do: func(s *seen) { s.readsFail(leaseInterval); s.wait(leaseInterval) }, want: unknown + " yet",
		},
		"there is none": {do: func(s *seen) { s.leases[node] = noLease; s.wait(leaseInterval) }, want: unknown + ": it has no lease"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newRunning(t)
			s.silence()
			tc.do(s)
			want := drivers.NodeReport{State: drivers.Unknown, Message: tc.want}
			got, _ := s.NodeReport(driver, node)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeaseProblemsAreLoggedWhenTheyChange(t *testing.T) {
	forbidden := apierrors.NewForbidden(coordinationv1.Resource("leases"), node, errNoAnswer)
	missing := apierrors.NewNotFound(coordinationv1.Resource("leases"), node)
	lease := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: today}}}
	var w leaseWatch
	for i, step := range []struct {
		err  error // nil for a read that succeeds
		want bool
	}{
		{err: errNoAnswer, want: true}, {err: fmt.Errorf("again: %w", errNoAnswer)}, {err: forbidden, want: true}, {err: forbidden},
		{err: missing, want: true}, {err: missing}, {err: forbidden, want: true}, {}, {err: forbidden, want: true},
	} {
		got := false
		if step.err == nil {
			w.read(lease, today)
		} else {
			got = w.failed(step.err, today)
		}
		if got != step.want {
			t.Errorf("read %d, %v: logged is %t, want %t", i, step.err, got, step.want)
		}
	}
}

// failing are leases that cannot be read.
type failing struct{ err error }

func (f failing) Get(context.Context, string, metav1.GetOptions) (*coordinationv1.Lease, error) {
	return nil, f.err
}

func TestLeaseThatIsForbiddenIsLoggedOnceAtEachVerbosity(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"forbidden":   {err: apierrors.NewForbidden(coordinationv1.Resource("leases"), node, errNoAnswer), want: 1},
		"unreachable": {err: errNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			logged := 0
			logger := funcr.New(func(_, _ string) { logged++ }, funcr.Options{Verbosity: 0})
			s := newRunning(t)
			s.silence()
			s.health.options.Leases = failing{tc.err}
			for range 3 {
				s.readLease(klog.NewContext(t.Context(), logger), node)
			}
			if logged != tc.want {
				t.Errorf("%d lines are logged, want %d", logged, tc.want)
			}
		})
	}
}
