// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/test/managerproxy"
)

// untaintedWithin is how long our taint may be on a node that is Ready: it goes with the event that tells so.
const untaintedWithin = 3 * time.Second

var _ = Describe("A node that comes back between two writes", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	// comesBack holds a write, has the node come back, and finds that nothing is destroyed from then on.
	comesBack := func(ctx SpecContext, p procedure, which func(call) bool, passes bool) {
		GinkgoHelper()
		through := managerThrough(ctx, quick)
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		p.prepare(ctx, sick)
		s.published(ctx, pod, patience)
		nodes := followNode(ctx, sick)
		held := holdForSpec(through, which, passes)
		p.fail(ctx, sick)
		Eventually(held.Held).WithContext(ctx).Should(BeClosed())
		destroyed := through.Count(destroys)
		mendAll(ctx)
		expectReady(ctx, sick)
		held.Release()

		object := expectState(ctx, sick, storagev1alpha1.HealthHealthy)
		Expect(object.Status.Failover.Moved).To(BeZero())
		s.expectStays(ctx, pod, specPause)
		Expect(through.Count(destroys)).To(Equal(destroyed))
		for _, taint := range nodes.outOfServiceTaints() {
			if taint != nil {
				Expect(taint).To(Equal(ourTaint))
			}
		}
	}

	It("keeps a pod that was about to be evicted", func(ctx SpecContext) {
		comesBack(ctx, evicting, evicts, false)
	}, SpecTimeout(specTimeout))

	It("is not tainted when the write is lost", func(ctx SpecContext) {
		comesBack(ctx, tainting, taints, false)
	}, SpecTimeout(specTimeout))

	It("is not tainted when the write comes late", func(ctx SpecContext) {
		comesBack(ctx, tainting, taints, true)
	}, SpecTimeout(specTimeout))

	It("keeps a pod that was about to be removed after the taint, and loses the taint", func(ctx SpecContext) {
		comesBack(ctx, tainting, removesPod, false)
	}, SpecTimeout(specTimeout))

	It("loses the taint at once though its storage is still gone, and its pod ends in the ordinary way", func(ctx SpecContext) {
		through := managerThrough(ctx, quick)
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		s.published(ctx, pod, patience)
		nodes := followNode(ctx, sick)
		held := holdForSpec(through, removesPod, false)
		killNode(ctx, sick)
		Eventually(held.Held).WithContext(ctx).Should(BeClosed())
		Eventually(nodes.outOfServiceTaints).WithContext(ctx).Should(HaveExactElements(Equal(ourTaint)))
		Expect(box.ReviveKubelet(ctx, sick)).To(Succeed())
		Eventually(nodes.outOfServiceTaints).WithContext(ctx).WithTimeout(untaintedWithin).Should(HaveExactElements(Equal(ourTaint), BeNil()))
		held.Release()

		s.movedFrom(ctx, pod, detachPatience)
		expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
		s.expectNoEvent(ctx, pod.Name, failover.EventForceDeleting)
		Expect(through.Count(removesPod)).To(BeZero())
		Expect(nodes.outOfServiceTaints()).To(HaveLen(2), "tainted again")
		expectNoViolation(ctx)
	}, SpecTimeout(specTimeout))

	It("keeps a pod that was about to be told to end, attachment by attachment", func(ctx SpecContext) {
		comesBack(ctx, partly, removesPod, false)
	}, SpecTimeout(specTimeout))

	It("ends a pod in the ordinary way that was told to, and keeps its volume until then", func(ctx SpecContext) {
		s := newScene(ctx)
		through := managerThrough(ctx, quick)
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		partly.prepare(ctx, sick)
		s.published(ctx, pod, patience)
		held := holdForSpec(through, detaches, false)
		partly.fail(ctx, sick)
		Eventually(held.Held).WithContext(ctx).Should(BeClosed())
		destroyed := through.Count(destroys)
		mendAll(ctx)
		expectReady(ctx, sick)
		held.Release()
		expectState(ctx, sick, storagev1alpha1.HealthHealthy)
		s.published(ctx, s.running(ctx, pod.Name, string(pod.UID)), detachPatience)
		Expect(through.Count(destroys)).To(Equal(destroyed))
	}, SpecTimeout(specTimeout))
})

// holdForSpec holds a write until the spec releases it, or ends: a spec that fails must not leave the manager waiting.
func holdForSpec(through *proxy, which func(call) bool, passes bool) *managerproxy.Hold {
	held := through.HoldFirst(which, passes)
	DeferCleanup(held.Release)
	return held
}
