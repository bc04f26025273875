// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth"
	"roost.dev/roost/storagehealth/failover"
)

var _ = Describe("A node that lives while its storage fails", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("loses its pods to nodes with their data, and gets none until it has recovered", func(ctx SpecContext) {
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		failStorage(ctx, sick)
		moved := s.running(ctx, pod.Name, string(pod.UID))
		Expect(moved.Spec.NodeName).NotTo(Equal(sick))
		Expect(s.dataNodes(ctx, moved)).To(ContainElement(moved.Spec.NodeName))

		object := expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
		Expect(object.Status.Failover.Moved).To(BeEquivalentTo(1))
		Expect(object.Status.Message).To(ContainSubstring("pool sda: I/O error"))
		Expect(expectEvent(ctx, s.namespace, pod.Name, failover.EventEvicting)).To(ContainSubstring(sick))
		expectEvent(ctx, "default", object.Name, storagehealth.EventUnhealthy)
		expectEvent(ctx, "default", object.Name, storagehealth.EventFailedOver)

		mendAll(ctx)
		expectState(ctx, sick, storagev1alpha1.HealthHealthy)
		s.expectStays(ctx, moved, specPause)
	}, SpecTimeout(specTimeout))
})
