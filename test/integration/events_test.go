// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	reasonScheduled        = "Scheduled"
	reasonFailedScheduling = "FailedScheduling"
)

// events are those of a reason about a pod, oldest first. The one about binding is awaited, after which there are no failures.
func (s *space) events(ctx context.Context, pod, reason string) []eventsv1.Event {
	GinkgoHelper()
	var events []eventsv1.Event
	uid := s.uids(ctx)[pod]
	Eventually(func(g Gomega) {
		var list eventsv1.EventList
		g.Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
		events = nil
		var bound bool
		for _, event := range list.Items {
			if event.Regarding.UID != uid {
				continue
			}
			bound = bound || event.Reason == reasonScheduled
			if event.Reason == reason {
				events = append(events, event)
			}
		}
		g.Expect(bound).To(BeTrue(), "an event says that the pod is bound")
	}).WithContext(ctx).Should(Succeed())
	slices.SortFunc(events, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	return events
}

// notes are what the events of a reason say of a pod.
func (s *space) notes(ctx context.Context, pod, reason string) []string {
	GinkgoHelper()
	var notes []string
	for _, event := range s.events(ctx, pod, reason) {
		notes = append(notes, event.Note)
	}
	return notes
}
