// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// writers is how many objects are made at a time.
	writers = 32
	// settlePoll is how often all objects of a kind are listed, which is work for the API server.
	settlePoll = 5 * time.Second
	// patience is how long something may take that usually takes a few minutes.
	patience = 20 * time.Minute
)

// claims makes the namespaces and the claims, and waits until all claims are bound.
func (b *bench) claims(ctx context.Context) error {
	objects := []client.Object{storageClass()}
	for i := range b.opts.Namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceName(i)}})
	}
	for _, object := range objects {
		if err := b.create(ctx, object); err != nil {
			return err
		}
	}
	if err := b.each(ctx, "claims", func(i int) client.Object { return b.opts.claim(i) }); err != nil {
		return err
	}
	bound := 0
	err := wait.PollUntilContextTimeout(ctx, settlePoll, patience, true, func(ctx context.Context) (bool, error) {
		var claims corev1.PersistentVolumeClaimList
		if err := b.box.Client.List(ctx, &claims); err != nil {
			return false, fmt.Errorf("listing claims: %w", err)
		}
		bound = 0
		for i := range claims.Items {
			if claims.Items[i].Status.Phase == corev1.ClaimBound {
				bound++
			}
		}
		b.screen.Progress("%d of %d claims are bound", bound, b.opts.Claims)
		return bound == b.opts.Claims, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d claims to be bound, %d are: %w", b.opts.Claims, bound, err)
	}
	return nil
}

// schedules makes the schedules, waits until all say when they run, and returns that by schedule. All are due at the same
// minute, which must not have come by then.
func (b *bench) schedules(ctx context.Context, at time.Time) (map[types.NamespacedName]time.Time, error) {
	if err := b.each(ctx, "schedules", func(i int) client.Object { return b.opts.schedule(i, at) }); err != nil {
		return nil, err
	}
	var due map[types.NamespacedName]time.Time
	err := wait.PollUntilContextTimeout(ctx, settlePoll, at.Sub(b.clock.Now()), true, func(ctx context.Context) (bool, error) {
		var schedules snapshotv1alpha1.SnapshotScheduleList
		if err := b.box.Client.List(ctx, &schedules); err != nil {
			return false, fmt.Errorf("listing schedules: %w", err)
		}
		due = dueTimes(schedules.Items)
		b.screen.Progress("%d of %d schedules have a next run", len(due), b.opts.Claims)
		return len(due) == b.opts.Claims, nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for %d schedules to have a next run before %s, %d have: %w", b.opts.Claims, at.Format(time.RFC3339), len(due), err)
	}
	return due, nil
}

// dueTimes are those of the schedules that have said when they run.
func dueTimes(schedules []snapshotv1alpha1.SnapshotSchedule) map[types.NamespacedName]time.Time {
	due := make(map[types.NamespacedName]time.Time, len(schedules))
	for i := range schedules {
		if next := schedules[i].Status.NextRun; next != nil {
			due[client.ObjectKeyFromObject(&schedules[i])] = next.Time
		}
	}
	return due
}

// each makes as many objects as there are claims.
func (b *bench) each(ctx context.Context, kind string, object func(int) client.Object) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range b.opts.Claims {
		b.screen.Progress("%d of %d %s", i, b.opts.Claims, kind)
		group.Go(func() error { return b.create(ctx, object(i)) })
	}
	return group.Wait()
}

func (b *bench) create(ctx context.Context, object client.Object) error {
	if err := b.box.Client.Create(ctx, object); err != nil {
		return fmt.Errorf("creating %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	return nil
}
