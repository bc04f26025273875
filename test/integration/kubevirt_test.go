// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"roost.dev/roost/internal/sandbox"
)

// KubeVirt itself keeps the target of a live migration off its source's node, by an affinity that these pods do not have.
var _ = Describe("A live migration of KubeVirt", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("goes to another data node, though the one that it leaves has more room", func(ctx SpecContext) {
		v := s.provision(ctx, "disk", sandbox.NodeName(0))
		from, to := v.dataNodes[0], v.dataNodes[1]
		s.fill(ctx, nearlyFull, []string{to})
		s.runLauncher(ctx, "source", from, using(v.claim))
		Expect(s.run(ctx, "target", launcher("first"), using(v.claim))).To(Equal(to))
		s.expectTold(ctx, "target", corev1.EventTypeNormal, reasonLocal, Equal("1/1 volumes local on "+to))
	})

	It("goes where its hotplugged disks are too", func(ctx SpecContext) {
		nodes := []string{sandbox.NodeName(1), sandbox.NodeName(2), sandbox.NodeName(3)}
		s.publish(ctx, vendor, "disk", nodes...)
		s.bindByHand(ctx, "disk", csiSource(vendor, "disk"))
		s.publish(ctx, vendor, "hotplugged", nodes[0], nodes[2])
		s.bindByHand(ctx, "hotplugged", csiSource(vendor, "hotplugged"))
		s.fill(ctx, nearlyFull, nodes[2:])
		source := s.runLauncher(ctx, "source", nodes[0], using("disk"))
		s.create(ctx, newPod("hp-volume-1", on(nodes[0]), using("hotplugged"), heldFor(source)))
		Expect(s.run(ctx, "target", launcher("first"), using("disk"))).To(Equal(nodes[2]))
		s.expectTold(ctx, "target", corev1.EventTypeNormal, reasonLocal, Equal("2/2 volumes local on "+nodes[2]))
	})

	It("does not stay for the only data node", func(ctx SpecContext) {
		s.publish(ctx, vendor, "disk", sandbox.NodeName(1))
		s.bindByHand(ctx, "disk", csiSource(vendor, "disk"))
		s.runLauncher(ctx, "source", sandbox.NodeName(1), using("disk"))
		s.fill(ctx, nodeCPU, []string{sandbox.NodeName(1)})
		s.run(ctx, "target", launcher("first"), using("disk"))
		s.expectTold(ctx, "target", corev1.EventTypeWarning, reasonNotLocal,
			HaveSuffix(`"disk" is on `+sandbox.NodeName(1)+` (the virtual machine leaves it)`))
		Expect(s.notes(ctx, "target", reasonFailedScheduling)).To(BeEmpty(), "it took one attempt")
	})
})

// launcher has a pod run a virtual machine; with a migration it is the target of that one.
func launcher(migration string) podOption {
	return func(pod *corev1.Pod) {
		pod.Labels = map[string]string{"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "machine"}
		if migration != "" {
			pod.Labels["kubevirt.io/migrationJobUID"] = migration
		}
	}
}

// heldFor has a pod hold hotplugged disks of the virtual machine in another.
func heldFor(owner *corev1.Pod) podOption {
	return func(pod *corev1.Pod) {
		pod.Labels = map[string]string{"kubevirt.io": "hotplug-disk"}
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: owner.Name, UID: owner.UID, Controller: ptr.To(true)}}
	}
}

// runLauncher has a virtual machine run on a node, and returns its pod. The scheduler hears of that before it hears of any
// pod that is created later.
func (s *space) runLauncher(ctx context.Context, name, node string, options ...podOption) *corev1.Pod {
	GinkgoHelper()
	s.create(ctx, newPod(name, append([]podOption{launcher(""), on(node)}, options...)...))
	var pod *corev1.Pod
	Eventually(func(g Gomega) {
		pod = s.pod(ctx, g, name)
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
	}).WithContext(ctx).Should(Succeed())
	return pod
}
