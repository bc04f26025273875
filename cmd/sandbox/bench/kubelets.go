// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/cmd/sandbox/timeline"
)

// undisturbed is how many pods are deleted without a fault.
const undisturbed = 20

// kubelets deletes pods where nothing has failed, one after the other: what that takes is not the failure's.
func (b *bench) kubelets(ctx context.Context, g *group) ([]timeline.Timeline, error) {
	var timelines []timeline.Timeline
	for _, d := range b.draws(undisturbed) {
		b.progress("%d of %d pods deleted and made anew", len(timelines), undisturbed)
		t, err := b.deleteOne(ctx, g, d)
		if err != nil {
			return timelines, err
		}
		timelines = append(timelines, t)
	}
	return timelines, nil
}

// deleteOne deletes a pod as an eviction does, with a grace period of a second.
func (b *bench) deleteOne(ctx context.Context, g *group, d draw) (timeline.Timeline, error) {
	v, err := b.take(ctx, g, d.victim)
	if err != nil {
		return timeline.Timeline{}, err
	}
	defer b.release(v)
	followed, err := b.follow(ctx, g.recorder, v.Failure)
	if err != nil {
		return timeline.Timeline{}, err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: g.Namespace, Name: v.Pod}}
	if err := b.box.Client.Delete(ctx, pod, client.GracePeriodSeconds(1), client.Preconditions{UID: &v.UID}); err != nil {
		return timeline.Timeline{}, fmt.Errorf("deleting pod %s: %w", v.Pod, err)
	}
	watched, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	return followed.Wait(watched), ctx.Err()
}
