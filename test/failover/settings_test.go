// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
)

const (
	dryRun = quick + `  failover:
    mode: DryRun
`
	// optIn moves nothing that does not ask for it, and waits for nobody long.
	optIn = quick + `  failover:
    default: Disabled
    pdbPolicy: DeleteAfterDeadline
    pdbDeadline: 2s
    arrivalGrace: 4s
`
)

var _ = Describe("A manager", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("in a dry run says what it would do, and does nothing", func(ctx SpecContext) {
		restartManager(ctx, dryRun)
		pod := s.together(ctx, sandbox.NodeName(1), map[string][]setOption{"db": nil})["db"]
		failStorage(ctx, pod.Spec.NodeName)
		Expect(expectLeft(ctx, pod, failover.WouldMove)).To(ContainSubstring("would be evicted"))
		expectNote(ctx, s.namespace, pod.Name, failover.EventWouldMove, "would be evicted")
		s.expectStays(ctx, pod, threeLooks)
		object := expectState(ctx, pod.Spec.NodeName, storagev1alpha1.HealthUnhealthy)
		Expect(object.Status.Message).To(ContainSubstring("Dry run: would move 1 pod"))
		Expect(object.Status.Failover.DryRun).To(BeTrue())
		Expect(object.Status.Failover.Moved).To(BeZero())
		mendAll(ctx)
		expectState(ctx, pod.Spec.NodeName, storagev1alpha1.HealthHealthy)
	}, SpecTimeout(specTimeout))

	It("moves what its configuration allows, when it allows it", func(ctx SpecContext) {
		restartManager(ctx, optIn)
		sick := sandbox.NodeName(6)
		s.claim(ctx, "late", sick)
		pods := s.together(ctx, sick, map[string][]setOption{
			"silent": nil, "asks": {annotated("Enabled")}, "budgeted": {annotated("Enabled")},
		})
		s.forbid(ctx, "budgeted")
		failStorage(ctx, sick)
		s.expectMoves(ctx, pods["asks"])
		Expect(expectLeft(ctx, pods["silent"], candidates.FailoverDisabled)).To(ContainSubstring("by default"))

		By("deleting what a PodDisruptionBudget keeps for too long")
		s.expectMoves(ctx, pods["budgeted"])
		expectNote(ctx, s.namespace, pods["budgeted"].Name, failover.EventDeleting, "PodDisruptionBudget")

		By("leaving what has just come for a while")
		late := s.bare(ctx, "late", sick, map[string]string{candidates.Annotation: "Enabled"})
		s.adopt(ctx, late)
		expectLeft(ctx, late, candidates.JustArrived)
		expectNote(ctx, s.namespace, late.Name, candidates.JustArrived, "had failed already")
		s.expectStays(ctx, late, time.Second)
		Expect(s.expectReplaced(ctx, late).Spec.NodeName).NotTo(Equal(sick))
		s.expectAllStay(ctx, poll, pods["silent"])
	}, SpecTimeout(specTimeout))
})
