// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/slots"
)

// Reasons of status.lastSkipped, and results of roost_snapshot_schedule_runs_total.
const (
	// SkippedMissed is a run that nobody was there to make, or that could not be made until its deadline.
	SkippedMissed = "Missed"
	// SkippedOverlap is a run that was due while another was not cut.
	SkippedOverlap = "Overlap"
	// SkippedSuspended is a runNow of a suspended schedule.
	SkippedSuspended = "Suspended"
	// SkippedNameTaken is a run whose name something else has.
	SkippedNameTaken = "NameTaken"
)

const (
	firstRetry   = 10 * time.Second
	longestRetry = 5 * time.Minute
)

// runSlot makes the run that is due, and takes note of those that were missed.
func (p *pass) runSlot(ctx context.Context) error {
	due := p.slots.Due(slots.Question{After: p.floor(), Now: p.now, Delay: p.delay, Deadline: slots.DeadlineOf(p.schedule.Spec.StartingDeadline)})
	if due.Missed > 0 {
		p.skip(due.LastMissed, SkippedMissed, due.Missed, "%d runs were missed, the last one of %s", due.Missed, due.LastMissed.Format(time.RFC3339))
		p.status.LastScheduleTime = &metav1.Time{Time: due.LastMissed}
	}
	if due.Run.IsZero() {
		return nil
	}
	p.pending = due.Run
	name := slotName(p.schedule.Name, due.Run)
	switch uncut := p.uncut(); {
	case uncut == name: // created by a pass that did not come to write so
	case uncut != "":
		p.skip(due.Run, SkippedOverlap, 1, "the run of %s is left out: %s is not cut yet", due.Run.Format(time.RFC3339), uncut)
	default:
		if done, err := p.create(ctx, name, due.Run); err != nil || !done {
			return err
		}
	}
	p.pending = time.Time{}
	p.status.LastScheduleTime = &metav1.Time{Time: due.Run}
	return nil
}

// runNow makes the run that a change of runNow asks for. It waits for one that is not cut yet: a person asked for it.
func (p *pass) runNow(ctx context.Context) error {
	token := p.schedule.Spec.RunNow
	if token == p.status.LastRunNow || p.slots == nil {
		return nil
	}
	if token == "" {
		p.status.LastRunNow = ""
		return nil
	}
	if p.schedule.Spec.Suspend {
		p.skip(p.now, SkippedSuspended, 1, "runNow %q makes no run: the schedule is suspended", token)
		p.status.LastRunNow = token
		return nil
	}
	name := nowName(p.schedule.Name, token, p.status.ObservedGeneration)
	if uncut := p.uncut(); uncut != "" && uncut != name {
		return nil
	}
	done, err := p.create(ctx, name, p.now)
	if err == nil && done {
		p.status.LastRunNow = token
	}
	return err
}

// lookForActive reads the last snapshot that was made, where memory has not got it yet.
func (p *pass) lookForActive(ctx context.Context) error {
	name := p.status.Active
	if name == "" || slices.ContainsFunc(p.mine, func(s snapshotv1alpha1.ApplicationSnapshot) bool { return s.Name == name }) {
		return nil
	}
	active := &snapshotv1alpha1.ApplicationSnapshot{}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.schedule.Namespace, Name: name}, active)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading ApplicationSnapshot %s/%s: %w", p.schedule.Namespace, name, err)
	}
	if err == nil && p.isOurs(active) {
		p.mine = append(p.mine, *active)
	}
	return nil
}

// uncut is the snapshot of this schedule that is not cut yet, or empty.
func (p *pass) uncut() string {
	for i := range p.mine {
		if isUncut(&p.mine[i]) {
			return p.mine[i].Name
		}
	}
	return ""
}

// isUncut says that a snapshot may still freeze its application. One that uploads does not.
func isUncut(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	switch snapshot.Status.Phase {
	case "", snapshotv1alpha1.PhasePending, snapshotv1alpha1.PhaseCutting:
		return true
	default:
		return false
	}
}

// isOurs says that the schedule made a snapshot. A copy has its label too, and not such a name.
func (p *pass) isOurs(snapshot *snapshotv1alpha1.ApplicationSnapshot) bool {
	return snapshot.Labels[snapshotv1alpha1.LabelSchedule] == string(p.schedule.UID) && isNameOf(p.schedule.Name, snapshot.Name)
}

// create makes the snapshot of that name. It is done where the snapshot is there, or never will be; not where it was refused.
func (p *pass) create(ctx context.Context, name string, due time.Time) (done bool, err error) {
	if err := p.check(ctx); err != nil {
		return false, err
	}
	snapshot := p.snapshot(name)
	err = p.Client.Create(ctx, snapshot)
	if apierrors.IsAlreadyExists(err) {
		return p.found(ctx, name, due)
	}
	if refusal := refusalOf(err); refusal != nil {
		p.refuse(refusal)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("creating ApplicationSnapshot %s/%s: %w", p.schedule.Namespace, name, err)
	}
	klog.FromContext(ctx).V(2).Info("Created snapshot", "schedule", klog.KObj(p.schedule), "snapshot", klog.KObj(snapshot), "due", due)
	p.Metrics.ran(ResultCreated, 1)
	p.created = true
	p.mine = append(p.mine, *snapshot)
	p.tell(corev1.EventTypeNormal, EventCreated, "Create", "made ApplicationSnapshot %s, due at %s", name, due.UTC().Format(time.RFC3339))
	return true, nil
}

// found looks at what has the name already. What is ours was made by a pass that could not write so.
func (p *pass) found(ctx context.Context, name string, due time.Time) (done bool, err error) {
	existing := &snapshotv1alpha1.ApplicationSnapshot{}
	if err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.schedule.Namespace, Name: name}, existing); err != nil {
		return false, fmt.Errorf("reading ApplicationSnapshot %s/%s: %w", p.schedule.Namespace, name, err)
	}
	if !p.isOurs(existing) {
		p.skip(due, SkippedNameTaken, 1, "the run of %s is left out: an ApplicationSnapshot %s exists that has not label %s=%s",
			due.UTC().Format(time.RFC3339), name, snapshotv1alpha1.LabelSchedule, p.schedule.UID)
		return true, nil
	}
	p.created = true
	if !slices.ContainsFunc(p.mine, func(s snapshotv1alpha1.ApplicationSnapshot) bool { return s.Name == name }) {
		p.mine = append(p.mine, *existing)
	}
	return true, nil
}

// snapshot is what the template makes, with our label above its own. No restore made it, whatever the template says.
func (p *pass) snapshot(name string) *snapshotv1alpha1.ApplicationSnapshot {
	template := &p.schedule.Spec.Template
	labels := maps.Clone(template.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[snapshotv1alpha1.LabelSchedule] = string(p.schedule.UID)
	delete(labels, snapshotv1alpha1.LabelRestore)
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.schedule.Namespace, Name: name, Labels: labels, Annotations: maps.Clone(template.Annotations),
		},
		Spec: *template.Spec.DeepCopy(),
	}
	if p.owns() {
		snapshot.OwnerReferences = []metav1.OwnerReference{p.ownerReference()}
	}
	return snapshot
}

// skip takes note of runs that are not made.
func (p *pass) skip(due time.Time, reason string, runs int, note string, args ...any) {
	p.status.LastSkipped = &snapshotv1alpha1.SkippedRun{Time: metav1.Time{Time: due}, Reason: reason}
	p.tell(corev1.EventTypeWarning, EventSkipped, reason, note, args...)
	p.news = append(p.news, func() { p.Metrics.ran(reason, runs) })
}
