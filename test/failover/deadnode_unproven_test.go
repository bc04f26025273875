// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/failover"
)

var _ = Describe("Without proof", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		fenceByHand(ctx)
	})

	// unproven has the pod's node die, and finds that the pod is asked to end and no more.
	unproven := func(ctx context.Context, pod *corev1.Pod) {
		GinkgoHelper()
		attachment := s.published(ctx, pod, patience)
		killNode(ctx, pod.Spec.NodeName)
		s.expectTerminating(ctx, pod)
		Expect(expectLeft(ctx, pod, failover.NeedsProof)).To(ContainSubstring("kubectl taint node " + pod.Spec.NodeName))
		expectEvent(ctx, s.namespace, pod.Name, failover.EventEvicting)
		expectEvent(ctx, s.namespace, pod.Name, failover.NeedsProof)
		s.expectNotRemoved(ctx, pod)
		now := attachments(ctx, Default, s.volume(ctx, pod).Name)[pod.Spec.NodeName]
		Expect(now.UID).To(Equal(attachment.UID))
		Expect(now.DeletionTimestamp).To(BeNil())
		s.expectNoEvent(ctx, pod.Name, failover.EventForceDeleting)
	}

	// switchOff has the storage system know that the node is off, and say nothing of it: the pod must not be removed for that.
	switchOff := func(ctx context.Context, pod *corev1.Pod) {
		GinkgoHelper()
		Expect(box.Sim.SetPublisher(ctx, true)).To(Succeed())
		s.fence(ctx, pod)
		s.expectNotRemoved(ctx, pod)
	}

	It("a dead node keeps its pods until a person says that it is off, whose taint stays", func(ctx SpecContext) {
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		unproven(ctx, pod)
		switchOff(ctx, pod)
		nodes := followNode(ctx, sick)
		human := corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute}
		setTaint(ctx, sick, human)
		s.movedFrom(ctx, pod, patience)
		expectEvent(ctx, s.namespace, pod.Name, failover.EventForceDeleting)

		Expect(box.Sim.SetPublisher(ctx, false)).To(Succeed())
		mendAll(ctx)
		expectState(ctx, sick, storagev1alpha1.HealthHealthy)
		Consistently(nodes.outOfServiceTaints).WithContext(ctx).WithTimeout(specPause).WithPolling(4 * poll).Should(HaveExactElements(Equal(&human)))
	}, SpecTimeout(specTimeout))

	It("a dead node keeps its pods until it is fenced from the network", func(ctx SpecContext) {
		Expect(box.InstallNetworkFenceCRD()).To(Succeed())
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		setAddress(ctx, sick, "10.1.2.3")
		unproven(ctx, pod)
		neighbour := newNetworkFence(ctx, "10.1.2.4/32")
		succeed(ctx, neighbour)
		switchOff(ctx, pod)
		fence := newNetworkFence(ctx, "10.1.2.3/32")
		s.expectNotRemoved(ctx, pod)

		succeed(ctx, fence)
		s.movedFrom(ctx, pod, detachPatience)
		expectEvent(ctx, s.namespace, pod.Name, failover.EventForceDeleting)
	}, SpecTimeout(specTimeout))

	It("a pod that hangs on a live node stays until its volume is fenced, and goes after its attachment", func(ctx SpecContext) {
		pod := s.database(ctx, "db", annotatedPod(sandbox.AnnotationHangs, "true"))
		sick := pod.Spec.NodeName
		pods, nodes, attached := s.followPods(ctx), followNode(ctx, sick), followAttachments(ctx)
		attachment := s.published(ctx, pod, patience)
		failStorage(ctx, sick)
		s.expectTerminating(ctx, pod)
		Expect(expectLeft(ctx, pod, failover.NeedsProof)).To(ContainSubstring("does not terminate"))
		expectEvent(ctx, s.namespace, pod.Name, failover.NeedsProof)
		s.expectNotRemoved(ctx, pod)
		Expect(attachments(ctx, Default, s.volume(ctx, pod).Name)[sick].DeletionTimestamp).To(BeNil())

		s.fence(ctx, pod)
		expectOrder(attached.goneAt(ctx, attachment.UID), pods.goneAt(ctx, pod.UID))
		s.movedFrom(ctx, pod, detachPatience)
		Expect(nodes.outOfServiceTaints()).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})

// setTaint adds a taint to a node until the end of the spec.
func setTaint(ctx context.Context, node string, taint corev1.Taint) {
	GinkgoHelper()
	change := func(ctx context.Context, to func([]corev1.Taint) []corev1.Taint) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			object := &corev1.Node{}
			g.Expect(box.Client.Get(ctx, types.NamespacedName{Name: node}, object)).To(Succeed())
			object.Spec.Taints = to(object.Spec.Taints)
			g.Expect(box.Client.Update(ctx, object)).To(Succeed())
		}).WithContext(ctx).Should(Succeed())
	}
	change(ctx, func(taints []corev1.Taint) []corev1.Taint { return append(taints, taint) })
	DeferCleanup(func(ctx SpecContext) {
		change(ctx, func(taints []corev1.Taint) []corev1.Taint {
			var others []corev1.Taint
			for _, t := range taints {
				if t.Key != taint.Key {
					others = append(others, t)
				}
			}
			return others
		})
	}, NodeTimeout(patience))
}

// setAddress has a node reach its storage from that address alone.
func setAddress(ctx context.Context, node, address string) {
	GinkgoHelper()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	patch := fmt.Sprintf(`{"status":{"addresses":[{"type":"InternalIP","address":%q},{"type":"Hostname","address":%q}]}}`, address, node)
	Expect(box.Client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
}

// newNetworkFence asks for a fence that nobody has set yet.
func newNetworkFence(ctx context.Context, cidr string) *unstructured.Unstructured {
	GinkgoHelper()
	fence := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"driver": sandbox.Provisioner, "cidrs": []any{cidr}, "fenceState": "Fenced",
	}}}
	fence.SetGroupVersionKind(schema.GroupVersionKind{Group: "csiaddons.openshift.io", Version: "v1alpha1", Kind: "NetworkFence"})
	fence.SetGenerateName("fence-")
	Expect(box.Client.Create(ctx, fence)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(box.Client.Delete(ctx, fence)).To(Succeed()) }, NodeTimeout(patience))
	return fence
}

// succeed writes what CSI-addons writes when the fence is set.
func succeed(ctx context.Context, fence *unstructured.Unstructured) {
	GinkgoHelper()
	Expect(unstructured.SetNestedField(fence.Object, "Succeeded", "status", "result")).To(Succeed())
	Expect(unstructured.SetNestedField(fence.Object, "fencing operation successful", "status", "message")).To(Succeed())
	Expect(box.Client.Status().Update(ctx, fence)).To(Succeed())
}
