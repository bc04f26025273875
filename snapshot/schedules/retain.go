// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/retention"
	"roost.dev/roost/snapshot/slots"
)

const (
	// mostKept is how many of status.kept the API takes.
	mostKept = 16
	// blockedRetry is when to look again at references that could not be listed.
	blockedRetry = time.Minute
)

// retain removes what the policy does not keep. What it cannot do is in p.blocked, and holds no run up.
func (p *pass) retain(ctx context.Context) error {
	zone, ok := p.zone()
	if !ok {
		return nil
	}
	policy := p.policy()
	decision := retention.Decide(policy, zone, p.now, pointsOf(p.mine, nil))
	var problem error
	if goes(&decision) {
		known, err := p.references(ctx)
		if err != nil {
			p.cannotKnow(err)
		} else if decision = retention.Decide(policy, zone, p.now, pointsOf(p.mine, known)); goes(&decision) {
			decision, problem = p.prune(ctx, known, func(points []retention.Point) retention.Decision {
				return retention.Decide(policy, zone, p.now, points)
			})
		}
	}
	p.status.Kept = keptOf(decision.Kept)
	p.wake(decision.Next)
	return problem
}

// cannotKnow takes note that references could not be listed. What is in use is not known, so it is all in use. The condition says
// so; an error would hold runs up.
func (p *pass) cannotKnow(err error) {
	p.blocked = &refusal{ReasonReferencesUnknown, err}
	p.wake(p.now.Add(blockedRetry))
}

// zone is that of the days, weeks and months that retention counts. Without one nothing is removed.
func (p *pass) zone() (*time.Location, bool) {
	zone, invalid := slots.Zone(p.schedule.Spec.TimeZone)
	if invalid != nil {
		p.blocked = &refusal{ReasonInvalid, invalid}
	}
	return zone, invalid == nil
}

func goes(decision *retention.Decision) bool {
	return len(decision.Delete)+len(decision.DeleteFailed) > 0
}

// policy is the schedule's, without age while there are no runs: nothing would take the place of what grows old.
func (p *pass) policy() *snapshotv1alpha1.Retention {
	policy := p.schedule.Spec.Retention.DeepCopy()
	if !p.runs() {
		policy.MaxAge = nil
	}
	return policy
}

// prune decides once more, by what the API server has now: memory may have snapshots that a person deleted, and would not
// know that the one to go is the last, and it may lack a restore that was just made. Then it deletes.
func (p *pass) prune(ctx context.Context, known *references, decide func([]retention.Point) retention.Decision) (retention.Decision, error) {
	if err := p.check(ctx); err != nil {
		return retention.Decision{}, err
	}
	list := &snapshotv1alpha1.ApplicationSnapshotList{}
	if err := p.Client.List(ctx, list, p.ours()...); err != nil {
		err = fmt.Errorf("listing ApplicationSnapshots of SnapshotSchedule %s: %w", client.ObjectKeyFromObject(p.schedule), err)
		p.blocked = &refusal{ReasonDeleteFailed, err}
		return retention.Decision{}, err
	}
	p.mine = p.oursOf(list)
	if err := known.lookAgain(ctx, p.Client, p.schedule.Namespace); err != nil {
		p.cannotKnow(err)
		return retention.Decision{}, nil
	}
	decision := decide(pointsOf(p.mine, known))
	for _, point := range slices.Concat(decision.Delete, decision.DeleteFailed) {
		if err := p.remove(ctx, &point); err != nil {
			return decision, err
		}
	}
	return decision, nil
}

// remove deletes one snapshot, if it is what was decided on.
func (p *pass) remove(ctx context.Context, point *retention.Point) error {
	i := slices.IndexFunc(p.mine, func(s snapshotv1alpha1.ApplicationSnapshot) bool { return s.UID == point.UID })
	snapshot := p.mine[i].DeepCopy()
	err := p.Client.Delete(ctx, snapshot,
		client.Preconditions{UID: ptr.To(snapshot.UID), ResourceVersion: ptr.To(snapshot.ResourceVersion)},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	switch {
	case apierrors.IsConflict(err):
		return errStale
	case client.IgnoreNotFound(err) != nil:
		p.Metrics.removed(snapshot.Status.Phase, err)
		err = fmt.Errorf("deleting ApplicationSnapshot %s: %w", client.ObjectKeyFromObject(snapshot), err)
		p.blocked = &refusal{ReasonDeleteFailed, err}
		return err
	}
	p.mine = slices.Delete(p.mine, i, i+1)
	if err == nil {
		klog.FromContext(ctx).V(2).Info("Deleted snapshot", "schedule", klog.KObj(p.schedule), "snapshot", klog.KObj(snapshot))
		p.Metrics.removed(snapshot.Status.Phase, nil)
		p.Recorder.Eventf(p.schedule, snapshot, corev1.EventTypeNormal, EventDeleted, "Retain",
			"deleted ApplicationSnapshot %s (%s), which retention keeps no longer", snapshot.Name, snapshot.Status.Phase)
	}
	return nil
}

// pointsOf are snapshots as retention knows them. Without references nothing is in use, and no claim exists.
func pointsOf(snapshots []snapshotv1alpha1.ApplicationSnapshot, known *references) []retention.Point {
	points := make([]retention.Point, 0, len(snapshots))
	for i := range snapshots {
		snapshot := &snapshots[i]
		point := retention.Point{
			Name: snapshot.Name, UID: snapshot.UID, Created: snapshot.CreationTimestamp.Time, State: stateOf(snapshot),
			Deleting: snapshot.DeletionTimestamp != nil,
			Pinned:   snapshot.Annotations[snapshotv1alpha1.AnnotationPinned] == "true",
		}
		if snapshot.Status.CutTime != nil {
			point.Cut = snapshot.Status.CutTime.Time
		}
		point.Began, point.Done = exactly(snapshot.Status.StartTime), exactly(snapshot.Status.ReadyTime)
		if known != nil {
			point.InUse, point.Claims = known.useOf(snapshot), known.claimsOf(snapshot)
		}
		points = append(points, point)
	}
	return points
}

// exactly is a time of a status, or zero.
func exactly(t *metav1.MicroTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func stateOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) retention.State {
	switch snapshot.Status.Phase {
	case snapshotv1alpha1.PhaseFailed:
		return retention.Failed
	case snapshotv1alpha1.PhaseReady:
		// One that was ready and says that it is not any more is no restore point, and nothing that failed either.
		if !meta.IsStatusConditionFalse(snapshot.Status.Conditions, snapshotv1alpha1.ConditionReady) {
			return retention.Ready
		}
	default:
	}
	return retention.Active
}

func keptOf(kept []retention.Kept) []snapshotv1alpha1.KeptSnapshot {
	var named []snapshotv1alpha1.KeptSnapshot
	for i := range kept[:min(len(kept), mostKept)] {
		named = append(named, snapshotv1alpha1.KeptSnapshot{Name: kept[i].Name, UID: kept[i].UID, Reason: kept[i].Reason})
	}
	return named
}
