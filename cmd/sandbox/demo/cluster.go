// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/cmd/sandbox/workload"
)

const (
	pollEvery = 250 * time.Millisecond
	// patience is how long a step may take that usually takes ten seconds.
	patience = 2 * time.Minute
)

// cluster is what the story does to the sandbox.
type cluster struct {
	client client.WithWatch
	screen *console.Console
	failed <-chan struct{}
}

// workloadIn is the StatefulSet of a namespace.
func (c *cluster) workloadIn(namespace string) workload.Workload {
	return workload.Workload{Client: c.client, Namespace: namespace}
}

// recreate deletes the StatefulSet's pods and waits until new ones run in their place.
func (c *cluster) recreate(ctx context.Context, namespace, what string) error {
	old, err := c.workloadIn(namespace).Pods(ctx)
	if err != nil {
		return err
	}
	gone := sets.New[types.UID]()
	for i := range old {
		gone.Insert(old[i].UID)
	}
	if err := c.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.MatchingLabels{"app": workload.Name}); err != nil {
		return fmt.Errorf("deleting the pods of %s: %w", namespace, err)
	}
	return c.waitForRunning(ctx, namespace, len(old), gone, what)
}

// waitForRunning waits until that many pods run, not counting those that are to be gone.
func (c *cluster) waitForRunning(ctx context.Context, namespace string, want int, gone sets.Set[types.UID], what string) error {
	running := 0
	err := c.poll(ctx, func(ctx context.Context) (bool, error) {
		pods, err := c.workloadIn(namespace).Pods(ctx)
		if err != nil {
			return false, err
		}
		running = 0
		for i := range pods {
			if pods[i].Status.Phase == corev1.PodRunning && pods[i].Spec.NodeName != "" && !gone.Has(pods[i].UID) {
				running++
			}
		}
		c.screen.Progress("%s: %d of %d pods running", what, running, want)
		return running == want, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %d of %d pods running: %w", what, running, want, err)
	}
	return nil
}

// poll asks again until condition holds. It gives up where a program of the sandbox has ended.
func (c *cluster) poll(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.failed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return wait.PollUntilContextTimeout(ctx, pollEvery, patience, true, condition)
}

// tally counts the StatefulSet's pods by where they are, seen from their data.
func (c *cluster) tally(ctx context.Context, namespace string) (Tally, error) {
	var tally Tally
	nodes, err := c.topologies(ctx)
	if err != nil {
		return tally, err
	}
	volumes, err := c.workloadIn(namespace).Volumes(ctx)
	if err != nil {
		return tally, err
	}
	pods, err := c.workloadIn(namespace).Pods(ctx)
	if err != nil {
		return tally, err
	}
	for i := range pods {
		tally[placeOf(pods[i].Spec.NodeName, volumes[workload.ClaimName(&pods[i])].Nodes, nodes)]++
	}
	return tally, nil
}

func (c *cluster) topologies(ctx context.Context) (map[string]topology, error) {
	var nodes corev1.NodeList
	if err := c.client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	found := make(map[string]topology, len(nodes.Items))
	for i := range nodes.Items {
		found[nodes.Items[i].Name] = topologyOf(&nodes.Items[i])
	}
	return found, nil
}
