// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

const (
	reasonLocal    = "VolumesLocal"
	reasonNotLocal = "VolumesNotLocal"
	reasonApart    = "VolumesApart"
	reasonNotApart = "VolumesNotApart"
)

var _ = Describe("After binding a pod is told what it got", func() {
	var (
		s      *space
		before placements
	)
	BeforeEach(func(ctx SpecContext) {
		s = newSpace(ctx, shared)
		before = placed(ctx)
	})

	It("all of its volumes", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		node := s.run(ctx, "pod", using(v.claim))
		s.expectTold(ctx, "pod", corev1.EventTypeNormal, reasonLocal, Equal("1/1 volumes local on "+node))
		Expect(placed(ctx).since(before)).To(Equal(placements{"local": 1}))
	})

	It("some of its volumes, where no node has all", func(ctx SpecContext) {
		s.publish(ctx, vendor, "volume-1", sandbox.NodeName(1))
		s.bindByHand(ctx, "data", csiSource(vendor, "volume-1"))
		s.publish(ctx, vendor, "volume-2", sandbox.NodeName(2))
		s.bindByHand(ctx, "logs", csiSource(vendor, "volume-2"))
		s.fill(ctx, nodeCPU, []string{sandbox.NodeName(2)})
		Expect(s.run(ctx, "pod", using("data", "logs"))).To(Equal(sandbox.NodeName(1)))
		s.expectTold(ctx, "pod", corev1.EventTypeWarning, reasonNotLocal, HavePrefix(fmt.Sprintf(
			`1/2 volumes local on %s; no node has all of them; "logs" is on %s`, sandbox.NodeName(1), sandbox.NodeName(2))))
		Expect(placed(ctx).since(before)).To(And(HaveLen(2), HaveKeyWithValue("local", 1)))
	})

	It("none of its volumes, because the data nodes are full", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		s.fill(ctx, nodeCPU, s.rackmates(ctx, v.dataNodes))
		s.fill(ctx, nodeCPU, s.zonemates(ctx, v.dataNodes))
		node := s.run(ctx, "pod", using(v.claim))
		s.expectTold(ctx, "pod", corev1.EventTypeWarning, reasonNotLocal, And(
			HavePrefix("0/1 volumes local on "+node+`; the data nodes were tried first (2 Insufficient cpu), then all nodes; "data" is on `),
			ContainSubstring(v.dataNodes[0]), ContainSubstring(v.dataNodes[1]),
		))
		Expect(placed(ctx).since(before)).To(HaveLen(1))
		Expect(placed(ctx).since(before)).NotTo(HaveKey("local"))
	})

	It("none of its volumes, because the storage of their only node is down", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.setReplica(ctx, v, v.dataNodes[1], storagev1alpha1.ReplicaStale)
		s.setStorage(ctx, v.dataNodes[0], storagev1alpha1.StorageDown)
		s.fill(ctx, nodeCPU, v.dataNodes[:1])
		node := s.run(ctx, "pod", using(v.claim))
		s.expectTold(ctx, "pod", corev1.EventTypeWarning, reasonNotLocal,
			Equal(fmt.Sprintf(`0/1 volumes local on %s; "data" is on %s (StorageDown)`, node, v.dataNodes[0])))
	})

	It("none of its volumes, because their nodes were deleted", func(ctx SpecContext) {
		s.publish(ctx, vendor, "volume-1", noSuchNode)
		s.bindByHand(ctx, "data", csiSource(vendor, "volume-1"))
		node := s.run(ctx, "pod", using("data"))
		s.expectTold(ctx, "pod", corev1.EventTypeWarning, reasonNotLocal,
			Equal(fmt.Sprintf(`0/1 volumes local on %s; "data" is on %s (no such node)`, node, noSuchNode)))
		Expect(placed(ctx).since(before)).To(Equal(placements{"remote": 1}))
	})

	It("none of a volume with fifty replicas, in as few words as of one with two", func(ctx SpecContext) {
		nodes := []string{sandbox.NodeName(1), sandbox.NodeName(2)}
		s.fill(ctx, nodeCPU, nodes)
		for i := len(nodes); i < 50; i++ {
			nodes = append(nodes, fmt.Sprintf("%s-%s-%d", noSuchNode, strings.Repeat("x", 200), i))
		}
		s.publish(ctx, vendor, "volume-1", nodes...)
		s.bindByHand(ctx, "data", csiSource(vendor, "volume-1"))
		s.run(ctx, "pod", using("data"))
		s.expectTold(ctx, "pod", corev1.EventTypeWarning, reasonNotLocal, And(
			ContainSubstring("the data nodes were tried first (2 Insufficient cpu), then all nodes"), ContainSubstring("and 47 more nodes")))
	})

	It("that it is apart from what it avoids", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		node := s.run(ctx, "pod", using(v.claim), annotated(volumelocality.Avoid))
		s.expectTold(ctx, "pod", corev1.EventTypeNormal, reasonApart, Equal("1/1 volumes apart from their data on "+node))
		Expect(placed(ctx).since(before)).NotTo(HaveKey("local"))
	})

	It("that it is not apart from what it avoids, because there is no other room", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, without(allNodes(), v.dataNodes))
		node := s.run(ctx, "pod", using(v.claim), annotated(volumelocality.Avoid))
		Expect(v.dataNodes).To(ContainElement(node))
		s.expectTold(ctx, "pod", corev1.EventTypeWarning, reasonNotApart,
			Equal(fmt.Sprintf(`0/1 volumes apart from their data on %s; "data" has a replica there, and its locality is Avoid`, node)))
		Expect(placed(ctx).since(before)).To(Equal(placements{"local": 1}))
	})

	It("nothing, where it has no volume that counts", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.run(ctx, "without-volumes")
		s.run(ctx, "ignored", using(v.claim), annotated(volumelocality.Ignored))
		// That of a later pod comes after those that there should not be.
		s.run(ctx, "later", using(v.claim))
		s.expectTold(ctx, "later", corev1.EventTypeNormal, reasonLocal, Not(BeEmpty()))
		Expect(s.toldTo(ctx, "without-volumes")).To(BeEmpty())
		Expect(s.toldTo(ctx, "ignored")).To(BeEmpty())
		Expect(placed(ctx).since(before)).To(Equal(placements{"local": 1}))
	})
})

// expectTold finds exactly one event about what the pod got.
func (s *space) expectTold(ctx context.Context, pod, eventType, reason string, note OmegaMatcher) {
	GinkgoHelper()
	var events []eventsv1.Event
	Eventually(func(g Gomega) {
		events = s.toldTo(ctx, pod)
		g.Expect(events).NotTo(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
	Expect(events).To(HaveLen(1))
	Expect(events[0].Type).To(Equal(eventType), events[0].Note)
	Expect(events[0].Reason).To(Equal(reason), events[0].Note)
	Expect(events[0].Note).To(note)
	Expect(events[0].Series).To(BeNil(), "it is told once")
}

// toldTo are the events about what the pod got.
func (s *space) toldTo(ctx context.Context, pod string) []eventsv1.Event {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	uid := s.uids(ctx)[pod]
	var events []eventsv1.Event
	for _, event := range list.Items {
		switch event.Reason {
		case reasonLocal, reasonNotLocal, reasonApart, reasonNotApart:
			if event.Regarding.UID == uid {
				events = append(events, event)
			}
		}
	}
	return events
}

// placements are how many volumes' pods were bound, by locality, of all drivers together.
type placements map[string]int

// placed reads them from our scheduler.
func placed(ctx context.Context) placements {
	GinkgoHelper()
	const metric = `roost_scheduler_placements_total{driver="`
	text, err := shared.SchedulerMetrics(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(text).To(ContainSubstring("scheduler_pending_pods"), "these are the scheduler's metrics")
	counts := placements{}
	for line := range strings.Lines(text) {
		labels, value, isOurs := strings.Cut(strings.TrimSpace(line), "} ")
		_, locality, hasLocality := strings.Cut(strings.TrimSuffix(labels, `"`), `locality="`)
		if !isOurs || !hasLocality || !strings.HasPrefix(labels, metric) {
			continue
		}
		count, err := strconv.Atoi(value)
		Expect(err).NotTo(HaveOccurred(), line)
		counts[locality] += count
	}
	return counts
}

// since are those that were counted after before.
func (p placements) since(before placements) placements {
	grown := placements{}
	for locality, count := range p {
		if grew := count - before[locality]; grew != 0 {
			grown[locality] = grew
		}
	}
	return grown
}
