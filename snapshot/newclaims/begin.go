// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/restore"
)

// begin checks everything, and once it has a place writes down what it is about to make.
func (l *look) begin(ctx context.Context) (reconcile.Result, error) {
	snapshot, claims, err := l.plan(ctx)
	if problem, ok := restore.AsProblem(err); ok {
		l.Limits.Leave(l.key)
		return l.wait(ctx, problem)
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if entered, err := l.enter(ctx, claims); err != nil {
		return reconcile.Result{}, err
	} else if !entered {
		return l.queue(ctx)
	}
	if err := l.hold(ctx); err != nil {
		return reconcile.Result{}, err
	}
	status := l.status()
	status.Phase = snapshotv1alpha1.RestorePopulating
	status.Claims, status.SourceUID, status.Consistency = claims, snapshot.UID, snapshot.Status.Consistency
	status.StartTime = &metav1.MicroTime{Time: l.Clock.Now()}
	l.describe(ReasonPopulating, fmt.Sprintf("makes %d claims of the ApplicationSnapshot %s", len(claims), client.ObjectKeyFromObject(snapshot)))
	if err := l.journal.Save(ctx); err != nil {
		return reconcile.Result{}, err
	}
	l.event(corev1.EventTypeNormal, EventRestoring, "Restore", status.Message)
	return l.populate(ctx)
}

// plan is the claims to make, or everything that stands in their way. It checks all of them before the first is made.
func (l *look) plan(ctx context.Context) (*snapshotv1alpha1.ApplicationSnapshot, []snapshotv1alpha1.RestoredClaim, error) {
	snapshot, err := l.source.Snapshot(ctx, l.journal.Object)
	if err != nil {
		return nil, nil, err
	}
	claims, invalid := restore.NewClaims(l.journal.Object.Spec.NewClaims, snapshot)
	if len(invalid) > 0 {
		var all problems
		for _, err := range invalid {
			all = append(all, &restore.Problem{Reason: ReasonInvalid, Message: err.Error(), Final: true})
		}
		return nil, nil, all.one()
	}
	var all problems
	for i := range claims {
		claim, member := &claims[i], restore.MemberOf(snapshot, claims[i].From)
		claim.State = snapshotv1alpha1.ClaimPopulating
		if l.crosses() {
			claim.VolumeSnapshotName, claim.ContentName = copyName(l.uid(), claim.From), copyName(l.uid(), claim.From)
		}
		err := l.check(ctx, snapshot, member, claim)
		if err = all.collect(err); err != nil {
			return nil, nil, err
		}
	}
	if problem := all.one(); problem != nil {
		return nil, nil, problem
	}
	return snapshot, claims, nil
}

func (l *look) check(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember, claim *snapshotv1alpha1.RestoredClaim) error {
	_, content, err := l.source.Content(ctx, snapshot.Namespace, member)
	if err != nil {
		return err
	}
	return l.populator.Check(ctx, l.request(snapshot, member, claim), content)
}

// request is the claim as the populator makes it.
func (l *look) request(snapshot *snapshotv1alpha1.ApplicationSnapshot, member *snapshotv1alpha1.SnapshotMember, claim *snapshotv1alpha1.RestoredClaim) restore.ClaimRequest {
	request := restore.ClaimRequest{
		Namespace: l.key.Namespace, Name: claim.Name,
		Labels: l.journal.Object.Spec.NewClaims.Labels, Annotations: l.origin(snapshot),
		Member: member, Size: claim.Size, StorageClassName: claim.StorageClassName,
		VolumeSnapshotName: claim.VolumeSnapshotName, RestoreUID: l.uid(),
	}
	if !l.crosses() {
		request.VolumeSnapshotUID = member.VolumeSnapshotUID
	}
	return request
}

// origin is what all that a restore makes says of where it comes from.
func (l *look) origin(snapshot *snapshotv1alpha1.ApplicationSnapshot) map[string]string {
	return map[string]string{
		snapshotv1alpha1.AnnotationRestoredFrom: client.ObjectKeyFromObject(snapshot).String(),
		snapshotv1alpha1.AnnotationRestoredBy:   l.key.Name,
	}
}

// hold has the restore stay when it is deleted, until what it made is looked after. It comes before the journal, and that
// before the first object.
func (l *look) hold(ctx context.Context) error {
	object := l.journal.Object.DeepCopy()
	if !controllerutil.AddFinalizer(object, snapshotv1alpha1.FinalizerRestore) {
		return nil
	}
	if err := l.Client.Patch(ctx, object, client.MergeFromWithOptions(l.journal.Object, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer to the SnapshotRestore %s: %w", l.key, err)
	}
	l.journal = journal.Open(l.Client, object)
	return nil
}

// problems are those of several claims.
type problems []*restore.Problem

// collect keeps a Problem, and returns any other error.
func (p *problems) collect(err error) error {
	problem, ok := restore.AsProblem(err)
	if !ok {
		return err
	}
	*p = append(*p, problem)
	return nil
}

// one is a Problem that tells all, final if one of them is. It is nil where there are none.
func (p *problems) one() *restore.Problem {
	if len(*p) == 0 {
		return nil
	}
	one := &restore.Problem{Reason: (*p)[0].Reason}
	messages := make([]string, 0, len(*p))
	for _, problem := range *p {
		messages = append(messages, problem.Message)
		if problem.Final && !one.Final {
			one.Final, one.Reason = true, problem.Reason
		}
	}
	one.Message = strings.Join(messages, "; ")
	return one
}
