// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

// notKnown is what a pod says that waits for its storage system.
const notKnown = "the storage system does not say, or has not said for too long, where a volume is"

var _ = Describe("A storage system that does not say where a volume is", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("because nobody publishes for it, changes nothing for a pod that prefers its data", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource("nobody.example.com", "volume-1"))
		s.run(ctx, "pod", using("data"))
		Expect(s.notes(ctx, "pod", reasonFailedScheduling)).To(BeEmpty())
	})

	It("because nobody publishes for it, has a pod wait that requires its data", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource("nobody.example.com", "volume-1"))
		message := s.pend(ctx, "pod", using("data"), annotated(volumelocality.Required))
		Expect(message).To(ContainSubstring(notKnown))
	})

	It("because it fell silent, is treated alike until it speaks again", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nearlyFull, v.dataNodes)
		s.silence(ctx)
		By("placing a pod that prefers its data where there is most room")
		Expect(v.dataNodes).NotTo(ContainElement(s.run(ctx, "preferring", using(v.claim))))
		Expect(s.notes(ctx, "preferring", reasonFailedScheduling)).To(BeEmpty())
		By("holding back a pod that requires its data")
		Expect(s.pend(ctx, "requiring", using(v.claim), annotated(volumelocality.Required))).To(ContainSubstring(notKnown))
		By("speaking again")
		s.endSilence(ctx)
		Expect(v.dataNodes).To(ContainElement(s.nodeOf(ctx, "requiring")))
		Expect(v.dataNodes).To(ContainElement(s.rerun(ctx, "preferring", "preferring-again", using(v.claim))))
	})
})

var _ = Describe("A data node that cannot serve", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	// expectOther runs a pod on a data node, and after what happens there on the other one, which has the least room of all.
	// When that is full, the nearest comes first: a node that will have the data soon, else the rack of the one that has it.
	expectOther := func(ctx SpecContext, comesBack bool, happens func(v volume, node string)) {
		GinkgoHelper()
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		sick, well := v.dataNodes[0], v.dataNodes[1]
		s.fill(ctx, nearlyFull, []string{well})
		Expect(s.run(ctx, "pod", using(v.claim))).To(Equal(sick), "while it can serve")
		happens(v, sick)
		Expect(s.rerun(ctx, "pod", "pod-again", using(v.claim))).To(Equal(well))
		s.deletePod(ctx, filler(well))
		s.create(ctx, newPod("", generated("filler-"), on(well), needing(nodeCPU)))
		nearest := s.rackmates(ctx, []string{well})
		if comesBack {
			nearest = []string{sick}
		}
		Expect(nearest).To(ContainElement(s.rerun(ctx, "pod-again", "pod-at-last", using(v.claim))))
	}

	DescribeTable("because its replica is not in sync, is not tried first",
		func(ctx SpecContext, state storagev1alpha1.ReplicaState) {
			expectOther(ctx, state == storagev1alpha1.ReplicaRebuilding, func(v volume, node string) { s.setReplica(ctx, v, node, state) })
		},
		Entry("rebuilding", storagev1alpha1.ReplicaRebuilding),
		Entry("stale", storagev1alpha1.ReplicaStale),
		Entry("failed", storagev1alpha1.ReplicaFailed),
	)

	DescribeTable("because its storage is not in service, is not tried first",
		func(ctx SpecContext, state storagev1alpha1.StorageState) {
			expectOther(ctx, false, func(_ volume, node string) { s.setStorage(ctx, node, state) })
		},
		Entry("down", storagev1alpha1.StorageDown),
		Entry("in maintenance", storagev1alpha1.StorageMaintenance),
		Entry("offline", storagev1alpha1.StorageOffline),
	)
})
