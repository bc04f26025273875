// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// writers is how many claims are filled in at a time.
	writers = 32
	// settlePoll is how often all claims are listed, which is work for the API server.
	settlePoll = 5 * time.Second
)

// fill makes the objects of all claims.
func (b *bench) fill(ctx context.Context) error {
	if err := b.box.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range b.opts.Claims {
		b.screen.Progress("%d of %d claims", i, b.opts.Claims)
		group.Go(func() error { return b.fillOne(ctx, place(i, b.opts)) })
	}
	return group.Wait()
}

// fillOne makes a claim, what is behind it, and the pod in front of it, in the order in which they come to be in a cluster.
// Whoever finds an object has all that it refers to.
func (b *bench) fillOne(ctx context.Context, p placed) error {
	claim := p.claim()
	if err := b.create(ctx, claim); err != nil {
		return err
	}
	topology, attachment := p.topology(), p.attachment()
	status, attached := topology.Status, attachment.Status
	for _, object := range []client.Object{p.volume(claim.UID), topology, attachment} {
		if err := b.create(ctx, object); err != nil {
			return err
		}
	}
	// The API server drops the status of an object that is made.
	topology.Status, attachment.Status = status, attached
	for _, object := range []client.Object{topology, attachment} {
		if err := b.box.Client.Status().Update(ctx, object); err != nil {
			return fmt.Errorf("writing the status of %T %s: %w", object, object.GetName(), err)
		}
	}
	return b.create(ctx, p.pod())
}

func (b *bench) create(ctx context.Context, object client.Object) error {
	if err := b.box.Client.Create(ctx, object); err != nil {
		return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

// settle waits until kube-controller-manager has bound all claims, and kwok has all pods Running.
func (b *bench) settle(ctx context.Context) error {
	bound, running := 0, 0
	err := wait.PollUntilContextTimeout(ctx, settlePoll, patience, true, func(ctx context.Context) (bool, error) {
		var claims corev1.PersistentVolumeClaimList
		if err := b.box.Client.List(ctx, &claims, client.InNamespace(namespace)); err != nil {
			return false, fmt.Errorf("listing claims: %w", err)
		}
		bound = 0
		for i := range claims.Items {
			if claims.Items[i].Status.Phase == corev1.ClaimBound {
				bound++
			}
		}
		var pending corev1.PodList
		if err := b.box.Client.List(ctx, &pending, client.InNamespace(namespace), client.MatchingFields{"status.phase": string(corev1.PodPending)}); err != nil {
			return false, fmt.Errorf("listing pods: %w", err)
		}
		running = b.opts.Claims - len(pending.Items)
		b.screen.Progress("%d of %d claims are bound, %d pods run", bound, b.opts.Claims, running)
		return bound == b.opts.Claims && running == b.opts.Claims, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d claims to be bound and their pods to run, %d are bound and %d run: %w", b.opts.Claims, bound, running, err)
	}
	return nil
}
