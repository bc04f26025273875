// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

const (
	// vendor is a storage system of the specs' own.
	vendor = "vendor.example.com"
	// noSuchNode is the name of no node.
	noSuchNode = "node-that-left"
	// noPolicy is a value that is no policy.
	noPolicy = "Sometimes"

	reasonBadPolicy = "UnknownLocalityPolicy"
)

var _ = Describe("Bad input", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	// Each spec leaves what is bad behind, and a pod that has nothing to do with it is placed all the same.
	JustAfterEach(func(ctx SpecContext) { s.run(ctx, "bystander") })

	DescribeTable("an unknown policy is told of in an event, and placed as Preferred",
		func(ctx SpecContext, kind string) {
			class := s.newClass(ctx, policyIf(kind == "StorageClass"))
			claim := newClaim("data", class.Name)
			if kind == "PersistentVolumeClaim" {
				claim.Annotations[volumelocality.PolicyAnnotation] = noPolicy
			}
			v := s.provisionOf(ctx, claim, sandbox.NodeName(0))
			// Were it Required, the pod would wait; were it Ignored, it would go where there is more room.
			s.fill(ctx, nodeCPU, v.dataNodes)
			s.fill(ctx, nearlyFull, s.rackmates(ctx, v.dataNodes))
			options := []podOption{using(v.claim)}
			if kind == "Pod" {
				options = append(options, annotated(noPolicy))
			}
			Expect(s.rackmates(ctx, v.dataNodes)).To(ContainElement(s.run(ctx, "pod", options...)))
			name := map[string]string{"Pod": "pod", "PersistentVolumeClaim": claim.Name, "StorageClass": class.Name}[kind]
			Eventually(func() []string { return s.notes(ctx, "pod", reasonBadPolicy) }).WithContext(ctx).Should(ConsistOf(And(
				ContainSubstring(kind+` "`+name+`"`),
				ContainSubstring(volumelocality.PolicyAnnotation),
				ContainSubstring(noPolicy),
				ContainSubstring("must be Preferred, Required, Avoid or Ignored"),
			)))
		},
		Entry("of a pod", "Pod"),
		Entry("of a claim", "PersistentVolumeClaim"),
		Entry("of a class", "StorageClass"),
	)

	It("a VolumeTopology naming no node that exists changes nothing", func(ctx SpecContext) {
		s.publish(ctx, vendor, "volume-1", noSuchNode)
		s.bindByHand(ctx, "data", csiSource(vendor, "volume-1"))
		s.run(ctx, "pod", using("data"))
		Expect(s.notes(ctx, "pod", reasonFailedScheduling)).To(BeEmpty())
	})

	It("a VolumeTopology naming no node that exists has a pod wait that requires its data, and says that there is no data node", func(ctx SpecContext) {
		s.publish(ctx, vendor, "volume-1", noSuchNode)
		s.bindByHand(ctx, "data", csiSource(vendor, "volume-1"))
		message := s.pend(ctx, "pod", using("data"), annotated(volumelocality.Required))
		Expect(message).To(ContainSubstring("no node has an in-sync replica of every volume whose locality is Required"))
		Expect(message).NotTo(ContainSubstring(noSuchNode))
	})

	It("a VolumeTopology naming one node that exists and one that does not leads to the first", func(ctx SpecContext) {
		const dataNode = 5
		s.publish(ctx, vendor, "volume-1", noSuchNode, sandbox.NodeName(dataNode))
		s.fill(ctx, nearlyFull, []string{sandbox.NodeName(dataNode)})
		s.bindByHand(ctx, "data", csiSource(vendor, "volume-1"))
		Expect(s.run(ctx, "pod", using("data"))).To(Equal(sandbox.NodeName(dataNode)))
	})

	It("a VolumeTopology naming a node twice is refused", func(ctx SpecContext) {
		topology := s.publish(ctx, vendor, "volume-1", sandbox.NodeName(1))
		topology.Status.Replicas = append(topology.Status.Replicas,
			storagev1alpha1.VolumeReplica{NodeName: sandbox.NodeName(1), State: storagev1alpha1.ReplicaStale})
		err := s.client.Status().Update(ctx, topology)
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(And(ContainSubstring("status.replicas[1]"), ContainSubstring("Duplicate value"), ContainSubstring(sandbox.NodeName(1)))))
	})

	It("a VolumeTopology or StorageReport that is to speak for something else is refused", func(ctx SpecContext) {
		topology := s.publish(ctx, vendor, "volume-1", sandbox.NodeName(1))
		topology.Spec.VolumeHandle = "volume-2"
		Expect(s.client.Update(ctx, topology)).To(MatchError(And(ContainSubstring("spec"), ContainSubstring("cannot change"))))
		var reports storagev1alpha1.StorageReportList
		Expect(s.client.List(ctx, &reports)).To(Succeed())
		Expect(reports.Items).NotTo(BeEmpty())
		report := &reports.Items[0]
		report.Spec.NodeName = noSuchNode
		Expect(s.client.Update(ctx, report)).To(MatchError(And(ContainSubstring("spec"), ContainSubstring("cannot change"))))
	})

	It("a claim whose StorageClass is gone keeps its data nodes", func(ctx SpecContext) {
		class := s.newClass(ctx, volumelocality.Avoid)
		v := s.provisionOf(ctx, newClaim("data", class.Name), sandbox.NodeName(0))
		Expect(s.client.Delete(ctx, class)).To(Succeed())
		s.fill(ctx, nearlyFull, v.dataNodes)
		// Its policy is gone with it, and the default is Preferred.
		Expect(v.dataNodes).To(ContainElement(s.run(ctx, "pod", using(v.claim))))
	})

	It("a claim that never got a volume, and whose StorageClass is gone, has its pod wait for it", func(ctx SpecContext) {
		s.create(ctx, newClaim("data", "class-that-left"))
		Expect(s.pend(ctx, "pod", using("data"))).To(ContainSubstring("unbound immediate PersistentVolumeClaims"))
	})

	It("a volume without CSI source and without node affinity is placed as by the stock scheduler", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "127.0.0.1", Path: "/"}})
		s.run(ctx, "pod", using("data"))
		Expect(s.notes(ctx, "pod", reasonFailedScheduling)).To(BeEmpty())
	})

	It("a volume without CSI source and without node affinity does not count where locality is Required", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.bindByHand(ctx, "files", corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "127.0.0.1", Path: "/"}})
		Expect(v.dataNodes).To(ContainElement(s.run(ctx, "pod", using(v.claim, "files"), annotated(volumelocality.Required))))
	})
})

// policyIf is a bad policy, or none.
func policyIf(bad bool) volumelocality.Policy {
	if bad {
		return noPolicy
	}
	return ""
}
