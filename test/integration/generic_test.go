// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

var _ = Describe("A volume whose PersistentVolume says which nodes can mount it", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	DescribeTable("has those for data nodes",
		func(ctx SpecContext, source corev1.PersistentVolumeSource) {
			const dataNode = 7
			s.bindByHand(ctx, "data", source, sandbox.NodeName(dataNode))
			// Where nobody knew, it would wait for the storage system to say.
			required := annotated(volumelocality.Required)
			Expect(s.run(ctx, "pod", using("data"), required)).To(Equal(sandbox.NodeName(dataNode)))
			s.fill(ctx, nodeCPU, []string{sandbox.NodeName(dataNode)})
			s.deletePod(ctx, "pod")
			Expect(s.pend(ctx, "pod-again", using("data"), required)).To(
				ContainSubstring("of the 1 node(s) with the data: 1 Insufficient cpu"))
		},
		Entry("a local volume", corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/mnt/disk"}}),
		Entry("a volume of a CSI driver that nobody publishes for", csiSource("nobody.example.com", "volume-2")),
	)
})
