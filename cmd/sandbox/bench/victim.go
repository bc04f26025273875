// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"roost.dev/roost/cmd/sandbox/timeline"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

// victim is a pod whose node is to fail.
type victim struct {
	timeline.Failure
	// handle is its volume's in the storage system.
	handle string
	// nodes are those with its data and its own: as long as it is not moved, no other of them may fail.
	nodes []string
}

// take chooses a victim by chance and takes its nodes, until release. It waits until there is one.
func (b *bench) take(ctx context.Context, g *group, chance uint64) (victim, error) {
	var chosen victim
	err := b.poll(ctx, patience, func(ctx context.Context) (bool, error) {
		pods, err := g.Pods(ctx)
		if err != nil {
			return false, err
		}
		volumes, err := g.Volumes(ctx)
		if err != nil {
			return false, err
		}
		well, err := b.wellNodes(ctx, g)
		if err != nil {
			return false, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		found := victims(pods, volumes, well.Difference(b.taken))
		if len(found) == 0 {
			return false, nil
		}
		chosen = found[chance%uint64(len(found))]
		b.taken.Insert(chosen.nodes...)
		return true, nil
	})
	if err != nil {
		return victim{}, fmt.Errorf("waiting for a node that may fail: %w", err)
	}
	return chosen, nil
}

func (b *bench) release(v victim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken.Delete(v.nodes...)
}

// victims are the pods that run on a free node and have a copy of their data on another one, by name.
func victims(pods []corev1.Pod, volumes map[string]workload.Volume, free sets.Set[string]) []victim {
	var found []victim
	for i := range pods {
		pod := &pods[i]
		volume, node := volumes[workload.ClaimName(pod)], pod.Spec.NodeName
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || volume.Name == "" {
			continue
		}
		nodes := sets.New(node).Insert(volume.Nodes...)
		if nodes.Len() < 2 || !free.IsSuperset(nodes) {
			continue
		}
		found = append(found, victim{
			Failure: timeline.Failure{Pod: pod.Name, UID: pod.UID, Node: node, Volume: volume.Name, Provisioner: sandbox.Provisioner},
			handle:  volume.Handle, nodes: sets.List(nodes),
		})
	}
	slices.SortFunc(found, func(a, b victim) int { return cmp.Compare(a.Pod, b.Pod) })
	return found
}
