// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/test/simstorage/publish"
)

// impatient has what is seen of a node plugin count soon.
const impatient = quick + `  generic:
    pluginNotReadyAfter: 1s
    bootGrace: 1s
`

var _ = Describe("A CSI driver that is down on one node", Ordered, func() {
	const node = "node-004"
	var s *scene
	BeforeAll(func(ctx SpecContext) {
		Expect(box.StartNodePlugins(ctx)).To(Succeed())
	}, NodeTimeout(specTimeout))
	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		DeferCleanup(func(ctx SpecContext) {
			Expect(box.SetDriverRegistered(ctx, node, true)).To(Succeed())
			Expect(box.SetPluginReady(ctx, node, true)).To(Succeed())
		}, NodeTimeout(patience))
	})

	It("gets no new pods with its volumes there until it is back, and loses none", func(ctx SpecContext) {
		runs := s.database(ctx, "runs", onNode(node))
		before := failoverOf(ctx, node)
		Expect(box.SetPluginReady(ctx, node, false)).To(Succeed())
		Expect(box.SetDriverRegistered(ctx, node, false)).To(Succeed())

		s.createDatabase(ctx, "waits", onlyOn(node))
		s.expectPending(ctx, "waits-0", "where the CSI driver "+sandbox.Provisioner+" is not registered")
		Expect(s.database(ctx, "elsewhere", onNode(node)).Spec.NodeName).NotTo(Equal(node))
		Expect(s.database(ctx, "stateless", onlyOn(node), withoutClaims).Spec.NodeName).To(Equal(node))
		s.expectStays(ctx, runs, specPause)
		expectState(ctx, node, storagev1alpha1.HealthHealthy)
		Expect(failoverOf(ctx, node)).To(Equal(before))

		Expect(box.SetDriverRegistered(ctx, node, true)).To(Succeed())
		Expect(box.SetPluginReady(ctx, node, true)).To(Succeed())
		Expect(s.running(ctx, "waits-0", "").Spec.NodeName).To(Equal(node))
	}, SpecTimeout(specTimeout))

	It("is Degraded where its storage system says nothing, which moves no pod", func(ctx SpecContext) {
		restartManager(ctx, impatient)
		runs := s.database(ctx, "runs", onNode(node))
		before := failoverOf(ctx, node)
		Expect(box.Sim.SetPublisher(ctx, true)).To(Succeed())
		report := &storagev1alpha1.StorageReport{ObjectMeta: metav1.ObjectMeta{Name: publish.ObjectName(node)}}
		Expect(s.client.Delete(ctx, report)).To(Succeed())
		Expect(box.SetPluginReady(ctx, node, false)).To(Succeed())

		expectStorage(ctx, node, "Degraded")
		s.expectStays(ctx, runs, specPause)
		expectState(ctx, node, storagev1alpha1.HealthHealthy)
		Expect(failoverOf(ctx, node)).To(Equal(before))
		Expect(box.SetPluginReady(ctx, node, true)).To(Succeed())
		expectStorage(ctx, node, "Online")
	}, SpecTimeout(specTimeout))
})
