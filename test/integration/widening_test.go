// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

// backoff is the shortest time that the scheduler puts off a pod that it could not place.
const backoff = time.Second

// crowd is how many pods keep the scheduler busy for longer than that.
const crowd = 400

var _ = Describe("A pod whose data nodes are full", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("goes to a replica's rack, then its zone, then anywhere, in one attempt and without evicting anybody", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		for level, tc := range []struct{ full, want []string }{
			{full: v.dataNodes, want: s.rackmates(ctx, v.dataNodes)},
			{full: s.rackmates(ctx, v.dataNodes), want: s.zonemates(ctx, v.dataNodes)},
			{full: s.zonemates(ctx, v.dataNodes), want: s.strangers(ctx, v.dataNodes)},
		} {
			By("filling more nodes")
			s.fill(ctx, nodeCPU, tc.full)
			before := s.uids(ctx)
			s.waitForRunning(ctx, len(before))
			pod := fmt.Sprintf("pod-%d", level)
			s.create(ctx, newPod(pod, using(v.claim), ranked(highPriority)))
			Expect(tc.want).To(ContainElement(s.nodeOf(ctx, pod)))
			// The scheduler tells in order, and tells of the binding last.
			Eventually(func() []eventsv1.Event { return s.events(ctx, pod, reasonScheduled) }).WithContext(ctx).Should(HaveLen(1))
			Expect(s.events(ctx, pod, reasonFailedScheduling)).To(BeEmpty())
			s.expectEvicted(ctx, before)
			s.deletePod(ctx, pod)
		}
	})

	It("evicts as the stock scheduler would when there is no room anywhere: the cheapest pod, not one beside the data", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes, ranked(middlePriority))
		s.fill(ctx, nodeCPU, without(allNodes(), v.dataNodes))
		before := s.uids(ctx)
		node := s.run(ctx, "pod", using(v.claim), ranked(highPriority))
		Expect(v.dataNodes).NotTo(ContainElement(node))
		s.expectEvicted(ctx, before, filler(node))
	})
})

var _ = Describe("A pod whose data nodes do not take it", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("goes to a replica's rack, then anywhere, at once and without evicting anybody", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		for level, tc := range []struct{ tainted, want []string }{
			{tainted: v.dataNodes, want: s.rackmates(ctx, v.dataNodes)},
			{tainted: append(s.rackmates(ctx, v.dataNodes), s.zonemates(ctx, v.dataNodes)...), want: s.strangers(ctx, v.dataNodes)},
		} {
			By("tainting more nodes")
			for _, node := range tc.tainted {
				s.taint(ctx, node)
			}
			// While others come and go, the scheduler would try the pod again anyhow.
			before := s.uids(ctx)
			pod := fmt.Sprintf("pod-%d", level)
			s.create(ctx, newPod(pod, using(v.claim), ranked(highPriority)))
			Expect(tc.want).To(ContainElement(s.nodeOf(ctx, pod)))
			failures := s.failuresBefore(ctx, pod)
			Expect(failures).To(HaveLen(1), "it widens once: all nodes are in one region, so that near is all")
			s.expectEvicted(ctx, before)
			s.deletePod(ctx, pod)
		}
	})

	It("does not wait in a busy scheduler either, where a pod that failed is put off", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		for _, node := range v.dataNodes {
			s.taint(ctx, node)
		}
		shared.StopScheduler()
		for i := range crowd {
			s.create(ctx, newPod(fmt.Sprintf("crowd-%d", i), needing("0")))
		}
		s.create(ctx, newPod("pod", using(v.claim), ranked(highPriority)))
		Expect(shared.StartScheduler(ctx, "")).To(Succeed())
		s.nodeOf(ctx, "pod")
		Expect(s.failuresBefore(ctx, "pod")).NotTo(BeEmpty())
		s.waitForRunning(ctx, crowd+1)
	}, NodeTimeout(startTimeout))
})

// failuresBefore are the attempts that failed before the pod was bound, which it was without being put off.
func (s *space) failuresBefore(ctx context.Context, pod string) []eventsv1.Event {
	GinkgoHelper()
	var bound []eventsv1.Event
	Eventually(func() []eventsv1.Event {
		bound = s.events(ctx, pod, reasonScheduled)
		return bound
	}).WithContext(ctx).Should(HaveLen(1))
	failures := s.events(ctx, pod, reasonFailedScheduling)
	Expect(failures).NotTo(BeEmpty())
	Expect(bound[0].EventTime.Sub(failures[0].EventTime.Time)).To(BeNumerically("<", backoff), "it did not wait between attempts")
	return failures
}

var _ = Describe("A pod whose policy is Required", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("waits while its data nodes are full, says so in plain words, and runs once there is room", func(ctx SpecContext) {
		v := s.provision(ctx, "treasure", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		message := s.pend(ctx, "wanderer", using(v.claim), annotated(volumelocality.Required))
		Expect(message).To(ContainSubstring("volume locality is Required, and of the 2 node(s) with the data: 2 Insufficient cpu"))
		for _, name := range []string{"node-0", v.claim, v.pv, v.handle, "wanderer", s.namespace} {
			Expect(message).NotTo(ContainSubstring(name))
		}
		s.deletePod(ctx, filler(v.dataNodes[1]))
		Expect(s.nodeOf(ctx, "wanderer")).To(Equal(v.dataNodes[1]))
	})

	It("counts what each data node lacks", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes[:1])
		s.taint(ctx, v.dataNodes[1])
		Expect(s.pend(ctx, "pod", using(v.claim), annotated(volumelocality.Required))).To(And(
			ContainSubstring("of the 2 node(s) with the data: 1 "),
			ContainSubstring("1 Insufficient cpu"),
			ContainSubstring("1 node(s) had untolerated taint(s)"),
		))
	})

	It("evicts on a data node only, though cheaper pods are elsewhere", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes, ranked(middlePriority))
		s.fill(ctx, nodeCPU, without(allNodes(), v.dataNodes))
		before := s.uids(ctx)
		node := s.run(ctx, "pod", using(v.claim), ranked(highPriority), annotated(volumelocality.Required))
		Expect(v.dataNodes).To(ContainElement(node))
		s.expectEvicted(ctx, before, filler(node))
	})
})

// expectEvicted finds that the victims have gone, and that all other pods are the same as before.
func (s *space) expectEvicted(ctx context.Context, before map[string]types.UID, victims ...string) {
	GinkgoHelper()
	after := s.uids(ctx)
	for name, uid := range before {
		if slices.Contains(victims, name) {
			Expect(after).NotTo(HaveKey(name))
		} else {
			Expect(after).To(HaveKeyWithValue(name, uid))
		}
	}
}

// taint keeps new pods off a node, for the spec.
func (s *space) taint(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(s.setTaints(ctx, name, takesNoPod)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(s.setTaints(ctx, name, "null")).To(Succeed()) }, NodeTimeout(patience))
}

// takesNoPod are taints that no pod tolerates.
const takesNoPod = `[{"key":"spec","effect":"NoSchedule"}]`

// setTaints gives a node these taints, as JSON, and no others.
func (s *space) setTaints(ctx context.Context, name, taints string) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"taints":`+taints+`}}`))
	if err := s.client.Patch(ctx, node, patch); err != nil {
		return fmt.Errorf("setting the taints of node %s: %w", name, err)
	}
	return nil
}
