// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"os"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"roost.dev/roost/internal/sandbox"
)

var _ = Describe("A scheduler with a profile of one's own", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	DescribeTable("tries the data nodes first or leaves it to the score, as dataNodesFirst says",
		func(ctx SpecContext, dataNodesFirst bool) {
			restartScheduler(ctx, fmt.Sprintf(`
  plugins:
    multiPoint: {enabled: [{name: VolumeLocality, weight: 1}]}
    postFilter: {enabled: [{name: VolumeLocality}]}
  pluginConfig: [{name: VolumeLocality, args: {dataNodesFirst: %t}}]`, dataNodesFirst))
			v := s.provision(ctx, "data", sandbox.NodeName(0))
			// With so small a weight, the score of the nodes that the pod prefers is higher.
			node := s.run(ctx, "pod", using(v.claim), preferring(without(allNodes(), v.dataNodes)))
			Expect(slices.Contains(v.dataNodes, node)).To(Equal(dataNodesFirst))
		},
		Entry("true", true),
		Entry("false", false),
	)

	It("that names the plugin after DefaultPreemption evicts nobody for locality, and logs what is wrong", func(ctx SpecContext) {
		restartScheduler(ctx, `
  plugins: {multiPoint: {enabled: [{name: VolumeLocality, weight: 15}]}}`)
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		before := s.uids(ctx)
		node := s.run(ctx, "pod", using(v.claim), ranked(highPriority))
		Expect(s.rackmates(ctx, v.dataNodes)).To(ContainElement(node))
		s.expectEvicted(ctx, before)
		content, err := os.ReadFile(shared.SchedulerLog())
		Expect(err).NotTo(HaveOccurred())
		Expect(linesWith(string(content), "must enable the plugin under postFilter, before DefaultPreemption")).To(HaveLen(1))
	})
})

// restartScheduler gives the shared scheduler another profile, for the spec.
func restartScheduler(ctx context.Context, profile string) {
	GinkgoHelper()
	restart := func(ctx context.Context, config string) {
		GinkgoHelper()
		shared.StopScheduler()
		Expect(shared.StartScheduler(ctx, config)).To(Succeed())
	}
	DeferCleanup(func(ctx SpecContext) { restart(ctx, "") }, NodeTimeout(startTimeout))
	restart(ctx, `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: `+sandbox.SchedulerName+profile+"\n")
}
