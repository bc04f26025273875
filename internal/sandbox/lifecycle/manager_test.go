// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
)

var _ = Describe("Our controller manager", func() {
	It("is one of two of which one leads, hands over when it is stopped, and is no failure when it is killed", func(ctx SpecContext) {
		opts := small(newDir())
		opts.Without.Delete(sandbox.RoostCRDs)
		c := startCluster(ctx, opts)
		Expect(c.Manager).To(BeNil(), "the options leave it out")
		leader := func(g Gomega) string {
			var lease coordinationv1.Lease
			g.Expect(c.Client.Get(ctx, client.ObjectKey{Namespace: "roost-system", Name: "roost-controller-manager"}, &lease)).To(Succeed())
			g.Expect(lease.Spec.HolderIdentity).NotTo(HaveValue(BeEmpty()))
			return *lease.Spec.HolderIdentity
		}
		first, err := c.StartManager(ctx, sandbox.ManagerOptions{LeaderElection: true})
		Expect(err).NotTo(HaveOccurred())
		var before string
		Eventually(func(g Gomega) { before = leader(g) }, patience, "100ms").Should(Succeed())
		second, err := c.StartManager(ctx, sandbox.ManagerOptions{Name: "second", LeaderElection: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(leader(Default)).To(Equal(before))

		for _, manager := range []*sandbox.Manager{first, second} {
			Expect(manager.Log()).To(BeARegularFile())
			response, err := http.Get(manager.MetricsURL())
			Expect(err).NotTo(HaveOccurred())
			Expect(response.Body.Close()).To(Succeed())
			Expect(response).To(HaveHTTPStatus(http.StatusOK))
		}
		first.Stop()
		Eventually(leader, patience, "100ms").ShouldNot(Equal(before))
		second.Kill()
		third, err := c.StartManager(ctx, sandbox.ManagerOptions{Name: "second"})
		Expect(err).NotTo(HaveOccurred(), "the name is free again, and without leader election it does not wait for the dead")
		third.Stop()
		Consistently(c.Failed(), "1s").ShouldNot(BeClosed())
	}, NodeTimeout(startTimeout))
})
