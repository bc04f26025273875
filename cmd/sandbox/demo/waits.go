// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"roost.dev/roost/volumelocality"
)

const (
	// longWait does not end before the story makes room.
	longWait = 10 * time.Minute
	// shortWait ends while the story looks on.
	shortWait = 5 * time.Second
)

// waits has a pod wait for its data nodes: first until there is room, then until its wait is over.
func (s *story) waits(ctx context.Context) error {
	pod, dataNodes, err := s.firstPod(ctx)
	if err != nil {
		return err
	}
	if err := s.setPolicy(ctx, roostNamespace, volumelocality.Preferred); err != nil {
		return err
	}
	fillers, err := s.fill(ctx, dataNodes)
	if err != nil {
		return err
	}
	defer func() { s.remove(context.WithoutCancel(ctx), fillers) }()
	s.screen.Line("  %s has its data on %s; both are full. It would go elsewhere, but may wait %s.", pod.Name, strings.Join(dataNodes, " and "), longWait)
	reason, err := s.replaceWaiting(ctx, pod, longWait)
	if err != nil {
		return err
	}
	s.screen.Line("%s", wrapped(reason, 90, "          "))
	start, room := clock.RealClock{}.Now(), fillers[0].Spec.NodeName
	s.remove(ctx, fillers[:1])
	node, err := s.waitForNode(ctx, pod)
	if err != nil {
		return err
	}
	s.verdict(node == room, "room is made on %s, and %s after that %s runs on %s", room, seconds(clock.RealClock{}.Since(start)), pod.Name, node)
	fillers = fillers[1:]
	return s.waitsInVain(ctx, &fillers)
}

// waitsInVain has the pod wait where no room is made.
func (s *story) waitsInVain(ctx context.Context, fillers *[]*corev1.Pod) error {
	pod, dataNodes, err := s.firstPod(ctx)
	if err != nil {
		return err
	}
	more, err := s.fill(ctx, []string{pod.Spec.NodeName})
	if err != nil {
		return err
	}
	*fillers = append(*fillers, more...)
	start := clock.RealClock{}.Now()
	if _, err := s.replaceWaiting(ctx, pod, shortWait); err != nil {
		return err
	}
	node, err := s.waitForNode(ctx, pod)
	if err != nil {
		return err
	}
	s.verdict(!slices.Contains(dataNodes, node), "no room is made, and with a wait of %s it runs on %s after %s",
		shortWait, node, seconds(clock.RealClock{}.Since(start)))
	return nil
}

// replaceWaiting has a pod made anew that may wait, and returns why it waits.
func (s *story) replaceWaiting(ctx context.Context, pod *corev1.Pod, wait time.Duration) (string, error) {
	if err := s.annotate(ctx, roostNamespace, volumelocality.WaitAnnotation, wait.String()); err != nil {
		return "", err
	}
	if err := s.client.Delete(ctx, pod); err != nil {
		return "", fmt.Errorf("deleting pod %s: %w", pod.Name, err)
	}
	return s.waitForReason(ctx, pod)
}
