// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/restore"
)

// longestMessage is how much of one a status has room for.
const longestMessage = 1024

// procedure is one SnapshotRestore while a worker looks after it.
type procedure struct {
	*Reconciler
	journal *journal.Journal[*snapshotv1alpha1.SnapshotRestore]
	// left are volumes that are left with the reclaim policy Retain, and why. They are told of when the step is done.
	left []string
}

// outcome is what a step came to.
type outcome struct {
	// again is that the next step can be taken at once.
	again bool
	// after is when to look again. 0 is when something changes.
	after time.Duration
}

var onward = outcome{again: true}

func (p *procedure) restore() *snapshotv1alpha1.SnapshotRestore      { return p.journal.Object }
func (p *procedure) status() *snapshotv1alpha1.SnapshotRestoreStatus { return &p.journal.Object.Status }
func (p *procedure) key() types.NamespacedName                       { return client.ObjectKeyFromObject(p.journal.Object) }

// run takes steps until one has to wait.
func (p *procedure) run(ctx context.Context) (reconcile.Result, error) {
	for {
		out, err := p.step(ctx)
		var problem *restore.Problem
		if errors.As(err, &problem) {
			out, err = p.meet(ctx, problem)
		}
		if err != nil {
			return reconcile.Result{}, err
		}
		if !out.again {
			return reconcile.Result{RequeueAfter: p.pause(out.after)}, nil
		}
	}
}

// steps are what is done in each phase. One that is missing is over.
var steps = map[snapshotv1alpha1.RestorePhase]func(*procedure, context.Context) (outcome, error){
	"":                                  (*procedure).plan,
	snapshotv1alpha1.RestorePending:     (*procedure).plan,
	snapshotv1alpha1.RestorePopulating:  (*procedure).populate,
	snapshotv1alpha1.RestoreStopping:    (*procedure).stop,
	snapshotv1alpha1.RestoreSecuring:    (*procedure).secure,
	snapshotv1alpha1.RestoreSwapping:    (*procedure).swap,
	snapshotv1alpha1.RestoreStarting:    (*procedure).start,
	snapshotv1alpha1.RestoreCompleted:   (*procedure).keep,
	snapshotv1alpha1.RestoreRollingBack: (*procedure).rollBack,
	snapshotv1alpha1.RestoreRolledBack:  (*procedure).keepRolledBack,
}

// step takes the next one.
func (p *procedure) step(ctx context.Context) (outcome, error) {
	if !p.restore().DeletionTimestamp.IsZero() {
		if left, err := p.leave(ctx); left || err != nil {
			return outcome{}, err
		}
	}
	if p.aborting() {
		return p.abort(ctx)
	}
	if p.beforeSwap() && p.untilDeadline() == 0 {
		return outcome{}, problemf(ReasonDeadline, "the deadline of %s passed: %s", p.restore().Spec.Deadline.Duration, p.status().Message)
	}
	take, ok := steps[p.status().Phase]
	if !ok {
		return outcome{}, nil
	}
	return take(p, ctx)
}

// meet waits for a problem to go away, or takes everything back.
func (p *procedure) meet(ctx context.Context, problem *restore.Problem) (outcome, error) {
	switch {
	case problem.Reason == restore.ReasonNamespaceTerminates && !p.beforeSwap():
		return p.abandon(ctx, problem.Message)
	case !problem.Final || p.aborting():
		if err := p.makeRoom(ctx); err != nil {
			return outcome{}, err
		}
		return p.wait(ctx, later, "%s", problem.Message)
	case p.beforeSwap() || p.status().Phase == snapshotv1alpha1.RestoreSwapping:
		return onward, p.beginAbort(ctx, problem.Reason, problem.Message)
	default:
		return p.wait(ctx, later, "%s", problem.Message)
	}
}

// makeRoom gives the place back where nothing is in flight: whoever waits for a quota or a node holds up no other restore.
func (p *procedure) makeRoom(ctx context.Context) error {
	for i := range p.status().Claims {
		planned := &p.status().Claims[i]
		if planned.State != snapshotv1alpha1.ClaimPopulating || p.aborting() {
			continue
		}
		temporary, err := p.claim(ctx, p.restore().Namespace, planned.TemporaryClaim)
		if err != nil {
			return err
		}
		if temporary != nil && temporary.Status.Phase != corev1.ClaimBound {
			return nil
		}
	}
	p.Limits.Leave(p.key())
	return nil
}

// beforeSwap says that no claim has been deleted yet.
func (p *procedure) beforeSwap() bool {
	switch p.status().Phase {
	case "", snapshotv1alpha1.RestorePending, snapshotv1alpha1.RestorePopulating, snapshotv1alpha1.RestoreStopping, snapshotv1alpha1.RestoreSecuring:
		return true
	default:
		return false
	}
}

// untilDeadline is how long the first claim may still stay undeleted. 0 is no longer.
func (p *procedure) untilDeadline() time.Duration {
	begin := p.restore().CreationTimestamp.Time
	if p.status().StartTime != nil {
		begin = p.status().StartTime.Time
	}
	return max(begin.Add(p.restore().Spec.Deadline.Duration).Sub(p.Clock.Now()), 0)
}

// pause does not last over the deadline.
func (p *procedure) pause(after time.Duration) time.Duration {
	if !p.beforeSwap() || p.aborting() || after == 0 {
		return after
	}
	return max(min(after, p.untilDeadline()), time.Millisecond)
}

// wait tells what for.
func (p *procedure) wait(ctx context.Context, after time.Duration, format string, args ...any) (outcome, error) {
	p.say(format, args...)
	return outcome{after: after}, p.save(ctx)
}

func (p *procedure) say(format string, args ...any) {
	p.status().Message = cut(fmt.Sprintf(format, args...), longestMessage)
}

func (p *procedure) save(ctx context.Context) error {
	status := p.status()
	status.ObservedGeneration = p.restore().Generation
	if status.Phase == "" {
		status.Phase = snapshotv1alpha1.RestorePending
	}
	return p.journal.Save(ctx)
}

// enter writes that a phase begins, and tells of it. The event's reason is the phase's.
func (p *procedure) enter(ctx context.Context, phase snapshotv1alpha1.RestorePhase, reason, format string, args ...any) error {
	left := p.status().Phase
	p.status().Phase = phase
	p.say(format, args...)
	if err := p.save(ctx); err != nil {
		return err
	}
	p.measure(left)
	klog.FromContext(ctx).V(2).Info("Restore went on", "restore", p.key(), "phase", phase)
	p.event(corev1.EventTypeNormal, reason, "%s", p.status().Message)
	return nil
}

func (p *procedure) event(kind, reason, format string, args ...any) {
	p.Recorder.Eventf(p.restore(), nil, kind, reason, "Restore", "%s", cut(fmt.Sprintf(format, args...), longestMessage))
}

// condition sets one, as of now.
func (p *procedure) condition(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&p.status().Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: cut(message, longestMessage),
		ObservedGeneration: p.restore().Generation, LastTransitionTime: metav1.NewTime(p.Clock.Now()),
	})
}

// reasonOf is why a condition is as it is.
func (p *procedure) reasonOf(kind string) string {
	if found := meta.FindStatusCondition(p.status().Conditions, kind); found != nil {
		return found.Reason
	}
	return ""
}

func (p *procedure) claimNames() []string {
	var names []string
	for i := range p.status().Claims {
		names = append(names, p.status().Claims[i].Name)
	}
	return names
}

func problemf(reason, format string, args ...any) *restore.Problem {
	return &restore.Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Final: true}
}

func waitf(reason, format string, args ...any) *restore.Problem {
	return &restore.Problem{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func cut(text string, most int) string {
	if len(text) > most {
		return text[:most]
	}
	return text
}
