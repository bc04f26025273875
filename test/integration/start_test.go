// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"roost.dev/roost/internal/sandbox"
)

var _ = Describe("The start of the scheduler", func() {
	It("waits for what storage systems publish, so that the first pods go to their data", func(ctx SpecContext) {
		s := newSpace(ctx, shared)
		claims := map[string]volume{}
		var full []string
		for i, pod := range []string{"first", "second", "third"} {
			claims[pod] = s.provision(ctx, pod, sandbox.NodeName(i))
			full = append(full, without(claims[pod].dataNodes, full)...)
		}
		s.fill(ctx, "1", full)
		shared.StopScheduler()
		for pod, v := range claims {
			s.create(ctx, newPod(pod, using(v.claim)))
		}
		Expect(shared.StartScheduler(ctx, "")).To(Succeed())
		for pod, v := range claims {
			Expect(v.dataNodes).To(ContainElement(s.nodeOf(ctx, pod)), pod)
		}
	}, NodeTimeout(startTimeout))
})
