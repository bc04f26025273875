// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

var _ = Describe("Storage that is not well, but has not failed", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("loses no pod: it only costs the node score while it serves, and keeps new pods away in maintenance", func(ctx SpecContext) {
		degraded, down, repaired, owned := sandbox.NodeName(0), sandbox.NodeName(3), sandbox.NodeName(6), sandbox.NodeName(9)
		pods, before := map[string]*corev1.Pod{}, map[string]string{}
		for name, node := range map[string]string{"degraded": degraded, "down": down, "repaired": repaired, "owned": owned} {
			pods[name] = s.together(ctx, node, map[string][]setOption{name: nil})[name]
			before[node] = failoverOf(ctx, node)
		}
		for name, well := range map[string]string{"degraded": sandbox.NodeName(1), "down": sandbox.NodeName(4)} {
			volume := s.volume(ctx, pods[name]).Spec.CSI.VolumeHandle // its second copy may be anywhere
			Expect(box.Sim.SetReplicaState(ctx, volume, well, storagev1alpha1.ReplicaInSync)).To(Succeed())
		}
		maintain(ctx, owned, true)
		for node, state := range map[string]storagev1alpha1.StorageState{
			degraded: storagev1alpha1.StorageDegraded, down: storagev1alpha1.StorageDown,
			repaired: storagev1alpha1.StorageMaintenance, owned: storagev1alpha1.StorageOffline,
		} {
			Expect(box.Sim.SetNodeState(ctx, node, state, "")).To(Succeed())
			expectStorage(ctx, node, string(state))
		}
		s.expectAllStay(ctx, specPause, pods["degraded"], pods["down"], pods["repaired"], pods["owned"])
		for node, began := range before {
			expectState(ctx, node, storagev1alpha1.HealthHealthy)
			Expect(failoverOf(ctx, node)).To(Equal(began))
		}

		By("placing new pods")
		s.database(ctx, "on-degraded", onlyOn(degraded))
		s.database(ctx, "on-down", onlyOn(down))
		s.createDatabase(ctx, "on-repaired", onlyOn(repaired))
		s.createDatabase(ctx, "on-owned", onlyOn(owned))
		s.expectPending(ctx, "on-repaired-0", "storage is in Maintenance")
		s.expectPending(ctx, "on-owned-0", "storage is Offline")
		By("preferring a copy whose storage is well")
		for _, name := range []string{"degraded", "down"} {
			Expect(s.client.Delete(ctx, pods[name])).To(Succeed())
			again := s.expectMoves(ctx, pods[name])
			Expect(s.dataNodes(ctx, again)).To(ContainElement(again.Spec.NodeName))
		}

		By("ending the maintenance, of storage that works and of storage that does not")
		Expect(box.Sim.SetNodeState(ctx, repaired, storagev1alpha1.StorageOnline, "")).To(Succeed())
		s.running(ctx, "on-repaired-0", "")
		s.expectAllStay(ctx, poll, pods["repaired"], pods["owned"])
		maintain(ctx, owned, false)
		s.expectMoves(ctx, pods["owned"])
	}, SpecTimeout(specTimeout))

	It("that an operator takes out of service gets no new pods, though it works", func(ctx SpecContext) {
		node := sandbox.NodeName(2)
		pod := s.together(ctx, node, map[string][]setOption{"runs": nil})["runs"]
		maintain(ctx, node, true)
		s.createDatabase(ctx, "waits", onlyOn(node))
		s.expectPending(ctx, "waits-0", "StorageNode is set to maintenance")
		s.expectAllStay(ctx, poll, pod)
		maintain(ctx, node, false)
		s.running(ctx, "waits-0", "")
	}, SpecTimeout(specTimeout))
})

// maintain sets spec.maintenance of a node's StorageNode, at the longest until the end of the spec.
func maintain(ctx context.Context, node string, maintenance bool) {
	GinkgoHelper()
	set := func(ctx context.Context, value bool) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			object := storageNode(ctx, g, node)
			object.Spec.Maintenance = value
			g.Expect(box.Client.Update(ctx, object)).To(Succeed())
		}).WithContext(ctx).Should(Succeed())
	}
	set(ctx, maintenance)
	if maintenance {
		DeferCleanup(func(ctx SpecContext) { set(ctx, false) }, NodeTimeout(patience))
	}
}
