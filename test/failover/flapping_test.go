// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

const (
	// flapFor and flapStep are how long storage flaps here, and the shortest that it is good or bad at a time. All times are
	// five times shorter or more than the shipped ones. The true figures, every 5 s for 5 minutes with the shipped
	// configuration, are those of verdict.TestFlappingEveryFiveSeconds, which has a clock of its own.
	flapFor  = 18 * time.Second
	flapStep = 500 * time.Millisecond
	// slowRound is a second round of flapping, in steps: bad for longer than the manager bears, then good for a step.
	slowRound = 7
)

var _ = Describe("Storage that flaps", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("moves no pod when it is never bad for long, and each pod once when it is", func(ctx SpecContext) {
		fast := s.together(ctx, sandbox.NodeName(1), map[string][]setOption{"fast": nil})["fast"]
		slow := s.together(ctx, sandbox.NodeName(8), map[string][]setOption{"slow": nil})["slow"]
		before, step := failoverOf(ctx, fast.Spec.NodeName), 0
		set := func(g Gomega, node string, bad bool) {
			state := storagev1alpha1.StorageOnline
			if bad {
				state = storagev1alpha1.StorageOffline
			}
			g.Expect(box.Sim.SetNodeState(ctx, node, state, "")).To(Succeed())
		}
		Consistently(func(g Gomega) {
			set(g, fast.Spec.NodeName, step%2 == 0)
			set(g, slow.Spec.NodeName, step%slowRound != slowRound-1)
			step++
		}).WithContext(ctx).WithTimeout(flapFor).WithPolling(flapStep).Should(Succeed())
		mendAll(ctx)

		s.expectAllStay(ctx, threeLooks, fast)
		moved := s.expectMoves(ctx, slow)
		Expect(failoverOf(ctx, fast.Spec.NodeName)).To(Equal(before))
		Expect(storageNode(ctx, Default, slow.Spec.NodeName).Status.Failover.Moved).To(BeNumerically("<=", 1))
		Expect(s.evictions(ctx, slow.Name)).To(Equal(1))
		s.expectAllStay(ctx, poll, moved)
	}, SpecTimeout(specTimeout))
})
