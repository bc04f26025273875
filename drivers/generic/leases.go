// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

const (
	// leaseInterval is how often the leases of nodes that are not Ready are read. A watch would bring every node's
	// heartbeats.
	leaseInterval = 5 * time.Second
	// leaseGap is how far apart two reads may be and still tell that nothing came in between.
	leaseGap = 3 * leaseInterval
)

// The reasons of leaseProblems for which Kubernetes has none.
const (
	neverRenewed metav1.StatusReason = "NeverRenewed"
	unreachable  metav1.StatusReason = "Unreachable"
)

// LeaseGetter reads a lease from the API server, as client-go's LeaseInterface does.
type LeaseGetter interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (*coordinationv1.Lease, error)
}

// leaseWatch is what the reads of one node's lease have shown. Ages are by our clock, from when a new renewTime was seen:
// the node's own clock may be wrong by any amount.
type leaseWatch struct {
	renewed metav1.MicroTime
	// changedAt is when renewed was first seen, readAt when last. They are zero where no read succeeded for leaseGap: what
	// happened in the meantime is not known.
	changedAt, readAt time.Time
	// moves says that renewed has been seen to change.
	moves bool
	// problem is why the last read brought nothing.
	problem leaseProblem
}

// leaseProblem is why a read of a lease brought nothing. The zero value is for a read that brought something.
type leaseProblem struct {
	// reason tells problems apart: the words of one differ, with a port for example, from read to read.
	reason  metav1.StatusReason
	message string
}

// leaseState says whether a kubelet renews its lease.
type leaseState int

const (
	leaseUnknown leaseState = iota
	leaseRenewed
	leaseStale
)

func (w *leaseWatch) state(staleAfter time.Duration) leaseState {
	switch {
	case w.readAt.IsZero():
		return leaseUnknown
	case w.readAt.Sub(w.changedAt) >= staleAfter:
		return leaseStale
	case w.moves:
		return leaseRenewed
	default:
		return leaseUnknown
	}
}

// read notes what a read brought.
func (w *leaseWatch) read(lease *coordinationv1.Lease, now time.Time) {
	if lease.Spec.RenewTime == nil {
		*w = leaseWatch{problem: leaseProblem{reason: neverRenewed, message: "its lease has no renewTime"}}
		return
	}
	w.problem = leaseProblem{}
	renewed := *lease.Spec.RenewTime
	switch {
	case w.readAt.IsZero() || now.Sub(w.readAt) > leaseGap:
		*w = leaseWatch{renewed: renewed, changedAt: now}
	case !renewed.Equal(&w.renewed):
		w.renewed, w.changedAt, w.moves = renewed, now, true
	}
	w.readAt = now
}

// failed notes that a read failed, which is true where it failed otherwise before. One failure is no evidence, neither that
// the kubelet is gone nor that it lives; that the node has no lease is an answer.
func (w *leaseWatch) failed(err error, now time.Time) bool {
	problem := leaseProblem{reason: apierrors.ReasonForError(err), message: "reading its lease failed: " + err.Error()}
	if problem.reason == metav1.StatusReasonUnknown {
		problem.reason = unreachable
	}
	changed := w.problem.reason != problem.reason
	if changed {
		w.problem = problem
	}
	switch {
	case apierrors.IsNotFound(err):
		w.problem.message = "it has no lease"
		*w = leaseWatch{problem: w.problem}
	case now.Sub(w.readAt) > leaseGap:
		*w = leaseWatch{problem: w.problem}
	}
	return changed
}

// readLeases reads the leases of the nodes that are not Ready, until ctx is done.
func (s *Source) readLeases(ctx context.Context) {
	for s.sleep(ctx, leaseInterval) {
		for _, node := range s.notReady() {
			s.readLease(ctx, node)
		}
	}
}

func (s *Source) notReady() []string {
	s.writing.Lock()
	defer s.writing.Unlock()
	var names []string
	for name, node := range s.health.nodes {
		if node.exists && !node.ready && len(node.provisioners) > 0 {
			names = append(names, name)
		}
	}
	return names
}

func (s *Source) readLease(ctx context.Context, name string) {
	getting, cancel := context.WithTimeout(ctx, leaseInterval)
	defer cancel()
	lease, err := s.health.options.Leases.Get(getting, name, metav1.GetOptions{})
	if ctx.Err() != nil {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	node := s.health.nodes[name]
	if node == nil {
		return
	}
	now := s.health.clock.Now()
	if err == nil {
		node.lease.read(lease, now)
	} else if node.lease.failed(err, now) {
		logLeaseProblem(ctx, name, err)
	}
	s.judgeParts(s.health.partsOn(name))
}

// logLeaseProblem has an operator know of what only an operator mends.
func logLeaseProblem(ctx context.Context, node string, err error) {
	logger := klog.FromContext(ctx).WithValues("node", klog.KRef("", node))
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		logger.Error(err, "No permission to read the lease of a node that is not Ready: it cannot be told whether the node is gone")
		return
	}
	logger.V(2).Info("Reading the lease of a node that is not Ready failed", "err", err)
}
