// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	batchMetric = "scheduler_batch_attempts_total"
	hintUsed    = `result="hint_used"`
	// alike is how many pods there are of which the next does not fit where the last went.
	alike, mostOfNode = 6, "1500m"
)

// batchingProfile is the shipped one, without the default constraints of PodTopologySpread: no pod is signed with them, by the
// stock scheduler neither.
const batchingProfile = `
  plugins:
    multiPoint: {enabled: [{name: VolumeLocality, weight: 15}, {name: StorageHealth, weight: 15}, {name: RestoreGate}]}
    postFilter: {enabled: [{name: VolumeLocality}]}
  pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List}}]`

var _ = Describe("Opportunistic batching", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	// hinted runs pods that are alike, one behind the other, and returns how many were given a node found for the one before.
	hinted := func(ctx context.Context, options ...podOption) int {
		GinkgoHelper()
		shared.StopScheduler()
		for i := range alike {
			s.create(ctx, newPod(fmt.Sprintf("pod-%d", i), append(options, needing(mostOfNode))...))
		}
		restartScheduler(ctx, batchingProfile)
		for i := range alike {
			s.nodeOf(ctx, fmt.Sprintf("pod-%d", i))
		}
		Expect(s.counted(ctx, attemptsMetric)).To(BeNumerically(">=", alike), "these are the scheduler's metrics")
		return s.counted(ctx, batchMetric, hintUsed)
	}

	It("is on for pods without claims", func(ctx SpecContext) {
		Expect(hinted(ctx)).To(BeNumerically(">", 0))
	}, NodeTimeout(startTimeout))

	It("is off for pods with claims, whose storage may differ from one to the next", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource("nobody.example.com", "volume-5"))
		Expect(hinted(ctx, using("data"))).To(BeZero())
	}, NodeTimeout(startTimeout))
})
