// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/slots"
)

// pass is one look at one schedule.
type pass struct {
	*Reconciler
	journal  *journal.Journal[*snapshotv1alpha1.SnapshotSchedule]
	schedule *snapshotv1alpha1.SnapshotSchedule
	status   *snapshotv1alpha1.SnapshotScheduleStatus
	now      time.Time
	// slots is nil where the spec is not valid; invalid says why.
	slots   *slots.Schedule
	invalid field.ErrorList
	delay   time.Duration
	// mine are the ApplicationSnapshots of the schedule, as memory has them, without those that this pass deleted.
	mine []snapshotv1alpha1.ApplicationSnapshot
	// checked is that the schedule in hand is the API server's.
	checked bool
	// created is that the API server took a snapshot, in this pass or in one before that could not write so.
	created bool
	// pending is the slot that is due and could not be run.
	pending time.Time
	// refusal is why nothing can be created, or nil.
	refusal *refusal
	// blocked is why retention cannot work, or nil.
	blocked *refusal
	// wakeups are when to look again.
	wakeups []time.Time
	// news are told once the status is written.
	news []func()
}

func newPass(r *Reconciler, schedule *snapshotv1alpha1.SnapshotSchedule) *pass {
	j := journal.Open(r.Client, schedule)
	p := &pass{
		Reconciler: r, journal: j, schedule: j.Object, status: &j.Object.Status,
		// In seconds, as a status has its times.
		now: r.Clock.Now().Truncate(time.Second),
	}
	p.slots, p.invalid = slots.Parse(&schedule.Spec, schedule.CreationTimestamp.Time)
	p.delay = slots.Delay(schedule.Namespace, schedule.Name, schedule.Spec.Jitter.Duration)
	return p
}

// run does all that is due. Retention comes first, so that it frees what a quota counts, and comes whatever becomes of the run.
func (p *pass) run(ctx context.Context) error {
	list := &snapshotv1alpha1.ApplicationSnapshotList{}
	err := p.Memory.List(ctx, list, p.ours()...)
	if meta.IsNoMatchError(err) {
		return p.withoutKinds(ctx, err)
	}
	if err != nil {
		return fmt.Errorf("listing ApplicationSnapshots of SnapshotSchedule %s: %w", client.ObjectKeyFromObject(p.schedule), err)
	}
	p.mine = p.oursOf(list)
	if err := p.lookForActive(ctx); err != nil {
		return err
	}
	p.settle()
	problems := []error{p.retain(ctx), p.adopt(ctx)}
	if p.runs() {
		problems = append(problems, p.runSlot(ctx))
	}
	problems = append(problems, p.runNow(ctx))
	err = errors.Join(problems...)
	if errors.Is(err, errStale) {
		return errStale
	}
	p.summarize(err == nil)
	if saveErr := p.save(ctx); saveErr != nil {
		return saveErr
	}
	return err
}

// withoutKinds says that the API server has no ApplicationSnapshots.
func (p *pass) withoutKinds(ctx context.Context, missing error) error {
	p.condition(snapshotv1alpha1.ConditionScheduled, metav1.ConditionFalse, ReasonKindsMissing, messageOf(missing))
	p.wake(p.now.Add(missingKinds))
	return p.save(ctx)
}

// save writes the status, and tells what is new once it is written.
func (p *pass) save(ctx context.Context) error {
	if err := p.journal.Save(ctx); err != nil {
		return err
	}
	for _, tell := range p.news {
		tell()
	}
	p.Metrics.observe(p.schedule, p.overdue())
	return nil
}

// sorted puts snapshots in the order in which they were made: memory has none, and a status must not change with it.
func sorted(snapshots []snapshotv1alpha1.ApplicationSnapshot) []snapshotv1alpha1.ApplicationSnapshot {
	slices.SortFunc(snapshots, func(a, b snapshotv1alpha1.ApplicationSnapshot) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return snapshots
}

// runs says whether the schedule makes runs at all.
func (p *pass) runs() bool { return p.slots != nil && !p.schedule.Spec.Suspend }

// oursOf are the schedule's snapshots among those that ours selected, in the order in which they were made.
func (p *pass) oursOf(list *snapshotv1alpha1.ApplicationSnapshotList) []snapshotv1alpha1.ApplicationSnapshot {
	return sorted(slices.DeleteFunc(list.Items, func(s snapshotv1alpha1.ApplicationSnapshot) bool { return !p.isOurs(&s) }))
}

// ours selects what has the schedule's label.
func (p *pass) ours() []client.ListOption {
	return []client.ListOption{client.InNamespace(p.schedule.Namespace), client.MatchingLabels{snapshotv1alpha1.LabelSchedule: string(p.schedule.UID)}}
}

// check is called before anything is created, deleted or given an owner: the schedule in hand, spec and status, must be the
// API server's.
func (p *pass) check(ctx context.Context) error {
	if p.checked {
		return nil
	}
	live := &snapshotv1alpha1.SnapshotSchedule{}
	if err := p.Client.Get(ctx, client.ObjectKeyFromObject(p.schedule), live); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return errStale
		}
		return fmt.Errorf("reading SnapshotSchedule %s: %w", client.ObjectKeyFromObject(p.schedule), err)
	}
	if live.UID != p.schedule.UID || live.ResourceVersion != p.schedule.ResourceVersion || live.DeletionTimestamp != nil {
		return errStale
	}
	p.checked = true
	return nil
}

// settle takes notice of what changed since the last pass, before anything is due: suspend, the spec, the clock.
func (p *pass) settle() {
	switch spec := &p.schedule.Spec; {
	case spec.Suspend && !p.status.Suspended:
		p.status.Suspended = true
		p.tell(corev1.EventTypeNormal, EventSuspended, "Suspend", "no more runs, until suspend is taken back")
	case !spec.Suspend && p.status.Suspended:
		p.status.Suspended = false
		p.status.ResumedTime = &metav1.Time{Time: p.now}
		p.tell(corev1.EventTypeNormal, EventResumed, "Resume", "runs go on; what was due meanwhile is not made up for")
	}
	if p.slots == nil {
		return
	}
	if p.isAhead(p.status.LastScheduleTime) || p.isAhead(p.status.ResumedTime) {
		p.tell(corev1.EventTypeWarning, EventClockWentBack, "Schedule",
			"the clock was ahead by more than a day when this schedule ran last; it goes on from %s", p.now.UTC().Format(time.RFC3339))
		p.status.LastScheduleTime, p.status.ResumedTime = nil, nil
		p.passOver()
	}
	// A new expression must not run at once for times before it was written. What was due by the old one may.
	seen := meta.FindStatusCondition(p.status.Conditions, snapshotv1alpha1.ConditionScheduled)
	edited := seen != nil && seen.ObservedGeneration != p.schedule.Generation
	if next := p.status.NextRun; edited && (next == nil || next.After(p.now)) {
		p.passOver()
	}
}

// isAhead says that a time of the status cannot be: then a clock was wrong that is right by now. Less than a day is left as
// it is, so that a clock that is set back runs nothing twice.
func (p *pass) isAhead(t *metav1.Time) bool { return t != nil && t.Sub(p.now) > 24*time.Hour }

// passOver leaves all slots alone that have come.
func (p *pass) passOver() {
	if latest := p.slots.Latest(p.now.Add(-p.delay)); latest.After(p.floor()) {
		p.status.LastScheduleTime = &metav1.Time{Time: latest}
	}
}

// floor is the time up to which no slot is run any more.
func (p *pass) floor() time.Time {
	floor := p.schedule.CreationTimestamp.Time
	for _, t := range []*metav1.Time{p.status.LastScheduleTime, p.status.ResumedTime} {
		if t != nil && t.After(floor) {
			floor = t.Time
		}
	}
	return floor
}

// wake asks for another pass at a time.
func (p *pass) wake(at time.Time) {
	if !at.IsZero() {
		p.wakeups = append(p.wakeups, at)
	}
}

// again is how long until the next pass.
func (p *pass) again() time.Duration {
	again := longest
	for _, at := range p.wakeups {
		again = min(again, max(at.Sub(p.now), soon))
	}
	return again
}
