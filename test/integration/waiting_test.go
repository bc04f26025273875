// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

const (
	reasonBadWait = "InvalidLocalityWait"

	// wakeup is how long after the end of its wait a pod may be bound.
	wakeup = 2 * time.Second
	// second is what the time of a pod's condition is rounded to.
	second = time.Second
)

var _ = Describe("A pod that waits for room next to its data", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("is held to its full data nodes, says until when, and runs there when there is room", func(ctx SpecContext) {
		v := s.provision(ctx, "treasure", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		message := s.pend(ctx, "pod", using(v.claim), waiting(10*time.Minute))
		Expect(message).To(MatchRegexp(`waiting for room next to the data until 20\S+Z, and of the 2 node\(s\) with the data: 2 Insufficient cpu`))
		for _, name := range []string{"node-0", v.claim, v.pv, v.handle, s.namespace} {
			Expect(message).NotTo(ContainSubstring(name))
		}
		s.deletePod(ctx, filler(v.dataNodes[1]))
		Expect(s.nodeOf(ctx, "pod")).To(Equal(v.dataNodes[1]))
	})

	It("has its status written once, however often it is tried", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		s.pend(ctx, "pod", using(v.claim), waiting(10*time.Minute))
		before := s.pod(ctx, Default, "pod")
		attempts := s.failures(ctx, "pod")
		// Room on another node may help, as far as the stock plugins know, and the pod is tried again.
		Eventually(func(g Gomega) {
			s.run(ctx, "bystander", needing("1"))
			s.deletePod(ctx, "bystander")
			g.Expect(s.failures(ctx, "pod")).To(BeNumerically(">", attempts))
		}).WithContext(ctx).Should(Succeed())
		Expect(s.pod(ctx, Default, "pod").ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("goes elsewhere soon after its wait is over", func(ctx SpecContext) {
		const wait = 4 * time.Second
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		Expect(s.rackmates(ctx, v.dataNodes)).To(ContainElement(s.run(ctx, "pod", using(v.claim), waiting(wait))))
		waited := s.waited(ctx, "pod")
		GinkgoWriter.Printf("bound %s after its first attempt\n", waited)
		Expect(waited).To(And(BeNumerically(">=", wait-second), BeNumerically("<", wait+wakeup)))
	})

	It("does not begin to wait anew when the scheduler is restarted", func(ctx SpecContext) {
		const wait, before = 12 * time.Second, 5 * time.Second
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		s.pend(ctx, "pod", using(v.claim), waiting(wait))
		Consistently(func(g Gomega) {
			g.Expect(s.pod(ctx, g, "pod").Spec.NodeName).To(BeEmpty())
		}).WithContext(ctx).WithTimeout(before).Should(Succeed())
		shared.StopScheduler()
		Expect(shared.StartScheduler(ctx, "")).To(Succeed())
		Expect(v.dataNodes).NotTo(ContainElement(s.nodeOf(ctx, "pod")))
		waited := s.waited(ctx, "pod")
		GinkgoWriter.Printf("bound %s after its first attempt\n", waited)
		Expect(waited).To(And(BeNumerically(">=", wait-second), BeNumerically("<", wait+wakeup+second)))
	}, NodeTimeout(startTimeout))

	It("makes room next to its data where its priority allows it, though other nodes are free", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes[:1], ranked(highPriority))
		s.fill(ctx, nodeCPU, v.dataNodes[1:])
		before := s.uids(ctx)
		Expect(s.run(ctx, "pod", using(v.claim), ranked(highPriority), waiting(10*time.Minute))).To(Equal(v.dataNodes[1]))
		s.expectEvicted(ctx, before, filler(v.dataNodes[1]))
	})

	It("does not wait where the annotation says nothing that can be followed, and is told", func(ctx SpecContext) {
		claim := newClaim("data", sandbox.StorageClass)
		claim.Annotations[volumelocality.WaitAnnotation] = "25h"
		v := s.provisionOf(ctx, claim, sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		Expect(s.rackmates(ctx, v.dataNodes)).To(ContainElement(s.run(ctx, "pod", using(v.claim))))
		Eventually(func() []string { return s.notes(ctx, "pod", reasonBadWait) }).WithContext(ctx).Should(ConsistOf(And(
			ContainSubstring(`PersistentVolumeClaim "data"`),
			ContainSubstring(volumelocality.WaitAnnotation),
			ContainSubstring("25h"),
			ContainSubstring("must be a duration from 0s to 24h"),
		)))
	})
})

// waiting has a pod wait for its data nodes.
func waiting(wait time.Duration) podOption {
	return func(pod *corev1.Pod) { pod.Annotations[volumelocality.WaitAnnotation] = wait.String() }
}

// waited is how long after its first attempt a pod was bound.
func (s *space) waited(ctx context.Context, pod string) time.Duration {
	GinkgoHelper()
	failures, bound := s.events(ctx, pod, reasonFailedScheduling), s.events(ctx, pod, reasonScheduled)
	Expect(failures).NotTo(BeEmpty())
	Expect(bound).To(HaveLen(1))
	return bound[0].EventTime.Sub(failures[0].EventTime.Time)
}
