// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// AnnotationReplicas has on a workload that is stopped how many replicas it had, for a person who finds it.
const AnnotationReplicas = "roost.dev/replicas-before-restore"

// ErrHeld is that another restore has stopped the workload and not started it again.
var ErrHeld = errors.New("is stopped by another restore")

// Stop scales the workload to 0, for the restore of that name. The workload is in a journal that was written; where it has
// other replicas by now, save is called to write them there first. A workload that is gone or was made anew is not touched:
// what it is now was not found to use the claims, and if it does, there are pods to be seen. Safe to repeat.
func (w *Workloads) Stop(ctx context.Context, restore types.NamespacedName, workload *snapshotv1alpha1.StoppedWorkload, save func() error) error {
	object, err := w.find(ctx, restore.Namespace, workload)
	if err != nil || object == nil {
		return err
	}
	replicas, err := w.replicas(ctx, object)
	if err != nil {
		return fmt.Errorf("reading the scale of %s %s: %w", workload.Kind, workload.Name, err)
	}
	holder := object.GetAnnotations()[snapshotv1alpha1.AnnotationRestoring]
	if holder != "" && holder != restore.Name {
		return fmt.Errorf("%s %s %w, SnapshotRestore %s", workload.Kind, workload.Name, ErrHeld, holder)
	}
	if had := had(object, workload, replicas); had != workload.Replicas {
		workload.Replicas = had
		if err := save(); err != nil {
			return err
		}
	}
	if holder == "" {
		if err := w.mark(ctx, object, restore.Name, workload.Replicas); err != nil {
			return fmt.Errorf("marking %s %s: %w", workload.Kind, workload.Name, err)
		}
	}
	if replicas == 0 {
		return nil
	}
	if err := w.setReplicas(ctx, object, 0); err != nil {
		return fmt.Errorf("scaling %s %s to 0: %w", workload.Kind, workload.Name, err)
	}
	return nil
}

// Start gives the workload the replicas of the journal, unless somebody gave it others meanwhile. The note is for a person, where
// there is something to say. Safe to repeat.
func (w *Workloads) Start(ctx context.Context, restore types.NamespacedName, workload *snapshotv1alpha1.StoppedWorkload) (note string, err error) {
	object, err := w.find(ctx, restore.Namespace, workload)
	if err != nil {
		return "", err
	}
	if object == nil {
		return fmt.Sprintf("%s %s is not there any more, or was made anew: it is left alone", workload.Kind, workload.Name), nil
	}
	switch holder := object.GetAnnotations()[snapshotv1alpha1.AnnotationRestoring]; {
	case holder != "" && holder != restore.Name:
		return fmt.Sprintf("%s %s is held by SnapshotRestore %s: it is left alone", workload.Kind, workload.Name, holder), nil
	case holder == "" && workload.State != snapshotv1alpha1.WorkloadStopped:
		// It was never marked, or was started before and only the journal does not know.
		return w.atZero(ctx, workload, object)
	}
	return w.start(ctx, restore, workload, object)
}

// atZero tells of a workload that is at 0 though nothing says that this restore stopped it.
func (w *Workloads) atZero(ctx context.Context, workload *snapshotv1alpha1.StoppedWorkload, object client.Object) (note string, err error) {
	replicas, err := w.replicas(ctx, object)
	if err != nil {
		return "", fmt.Errorf("reading the scale of %s %s: %w", workload.Kind, workload.Name, err)
	}
	if replicas == 0 && workload.Replicas > 0 {
		note = leftAt(workload, replicas)
	}
	return note, nil
}

func leftAt(workload *snapshotv1alpha1.StoppedWorkload, replicas int32) string {
	return fmt.Sprintf("%s %s was scaled to %d meanwhile and had %d before: it is left so", workload.Kind, workload.Name, replicas, workload.Replicas)
}

// start scales up what is at 0. One that lost its mark, as where somebody writes annotations whole, was stopped all the same.
func (w *Workloads) start(
	ctx context.Context, restore types.NamespacedName, workload *snapshotv1alpha1.StoppedWorkload, object client.Object,
) (note string, err error) {
	replicas, err := w.replicas(ctx, object)
	if err != nil {
		return "", fmt.Errorf("reading the scale of %s %s: %w", workload.Kind, workload.Name, err)
	}
	switch {
	case replicas == 0 && workload.Replicas > 0:
		if err := w.setReplicas(ctx, object, workload.Replicas); err != nil {
			return "", fmt.Errorf("scaling %s %s to %d: %w", workload.Kind, workload.Name, workload.Replicas, err)
		}
		if object, err = w.find(ctx, restore.Namespace, workload); err != nil || object == nil {
			return "", err
		}
	case replicas != workload.Replicas:
		note = leftAt(workload, replicas)
	}
	return note, w.release(ctx, restore, workload, object)
}

// release takes the mark off. The workload's own controller writes to it at the same moment, since it was just scaled.
func (w *Workloads) release(ctx context.Context, restore types.NamespacedName, workload *snapshotv1alpha1.StoppedWorkload, object client.Object) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if object == nil || object.GetAnnotations()[snapshotv1alpha1.AnnotationRestoring] != restore.Name {
			return nil
		}
		conflict := w.unmark(ctx, object)
		if apierrors.IsConflict(conflict) {
			var err error
			if object, err = w.find(ctx, restore.Namespace, workload); err != nil {
				return err
			}
		}
		return conflict
	})
	if err != nil {
		return fmt.Errorf("taking the mark off %s %s: %w", workload.Kind, workload.Name, err)
	}
	return nil
}

// had is how many replicas the workload had before anybody stopped it. One that was at 0 when the restore was planned and has its mark
// was stopped by an earlier restore of that name, which was removed by force: the mark says what it had.
func had(object client.Object, workload *snapshotv1alpha1.StoppedWorkload, replicas int32) int32 {
	switch {
	case object.GetAnnotations()[snapshotv1alpha1.AnnotationRestoring] == "":
		return replicas
	case replicas > 0 || workload.Replicas > 0:
		return workload.Replicas
	}
	noted, err := strconv.ParseInt(object.GetAnnotations()[AnnotationReplicas], 10, 32)
	if err != nil {
		return 0
	}
	return max(int32(noted), 0)
}

// find reads the workload. It is nil where there is none of that name, or another one.
func (w *Workloads) find(ctx context.Context, namespace string, workload *snapshotv1alpha1.StoppedWorkload) (client.Object, error) {
	object, err := w.read(ctx, namespace, reference{apiVersion: workload.APIVersion, kind: workload.Kind, name: workload.Name})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case object.GetUID() != workload.UID:
		return nil, nil
	}
	return object, nil
}

func (w *Workloads) mark(ctx context.Context, object client.Object, restore string, replicas int32) error {
	return w.annotate(ctx, object, map[string]string{
		snapshotv1alpha1.AnnotationRestoring: restore, AnnotationReplicas: strconv.Itoa(int(replicas)),
	})
}

func (w *Workloads) unmark(ctx context.Context, object client.Object) error {
	return w.annotate(ctx, object, map[string]string{snapshotv1alpha1.AnnotationRestoring: "", AnnotationReplicas: ""})
}

// annotate sets annotations, or takes those away that are empty, on the object as it was read.
func (w *Workloads) annotate(ctx context.Context, object client.Object, annotations map[string]string) error {
	before := object.DeepCopyObject().(client.Object)
	changed := maps.Clone(object.GetAnnotations())
	if changed == nil {
		changed = map[string]string{}
	}
	for key, value := range annotations {
		changed[key] = value
		if value == "" {
			delete(changed, key)
		}
	}
	object.SetAnnotations(changed)
	return w.client.Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
