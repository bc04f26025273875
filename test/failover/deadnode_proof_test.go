// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/failover"
)

var _ = Describe("A node that the storage system does not reach", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("lets its pods go in the ordinary way while its kubelet lives", func(ctx SpecContext) {
		pods := s.followPods(ctx)
		pod := s.database(ctx, "db")
		s.published(ctx, pod, patience)
		sick := pod.Spec.NodeName
		nodes := followNode(ctx, sick)
		Expect(box.Sim.SetCutOff(ctx, sick, true)).To(Succeed())
		s.movedFrom(ctx, pod, patience)

		object := expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
		Expect(object.Status.Message).To(ContainSubstring("cut off"))
		Expect(expectEvent(ctx, s.namespace, pod.Name, failover.EventEvicting)).To(ContainSubstring(sick))
		Expect(pods.pods(pod.Name)).To(Equal(2))
		Expect(nodes.outOfServiceTaints()).To(BeEmpty())
		s.expectNoEvent(ctx, pod.Name, failover.EventForceDeleting)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A node that is dead, and can write to nothing", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("is out of service until its volumes are detached, and only its pods with volumes go", func(ctx SpecContext) {
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		second := s.database(ctx, "second", onNode(sick))
		Expect(second.Spec.NodeName).To(Equal(sick))
		s.published(ctx, pod, patience)
		s.published(ctx, second, patience)
		untouched := []*corev1.Pod{s.daemonPod(ctx, sick), s.staticPod(ctx, sick), s.plainPod(ctx, sick)}
		nodes, volume := followNode(ctx, sick), s.volume(ctx, pod).Name
		killNode(ctx, sick)
		moved := s.movedFrom(ctx, pod, patience)
		s.movedFrom(ctx, second, patience)

		object := expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
		Expect(object.Status.Failover.Moved).To(BeEquivalentTo(2))
		Eventually(nodes.outOfServiceTaints).WithContext(ctx).Should(HaveExactElements(Equal(ourTaint), BeNil()))
		Expect(attachments(ctx, Default, volume)).To(And(HaveLen(1), HaveKey(moved.Spec.NodeName)))
		expectEvent(ctx, s.namespace, pod.Name, failover.EventForceDeleting)
		expectEvent(ctx, "default", sick, failover.EventTainted)
		expectEvent(ctx, "default", sick, failover.EventUntainted)
		for _, other := range untouched {
			s.expectStays(ctx, other, poll)
		}

		mendAll(ctx)
		expectState(ctx, sick, storagev1alpha1.HealthHealthy)
		s.expectStays(ctx, moved, specPause)
		for _, other := range untouched {
			s.expectStays(ctx, other, poll)
		}
		Expect(nodes.outOfServiceTaints()).To(HaveLen(2), "tainted again")
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A node that is dead, and is known to write to some volumes no more", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("loses the pods of those, after their attachments, and nothing else", func(ctx SpecContext) {
		fenceByHand(ctx)
		fenced := s.database(ctx, "fenced")
		sick := fenced.Spec.NodeName
		other := s.database(ctx, "other", onNode(sick))
		Expect(other.Spec.NodeName).To(Equal(sick))
		foreign := attachForeign(ctx, sick)
		pods, nodes, attached := s.followPods(ctx), followNode(ctx, sick), followAttachments(ctx)
		attachment := s.published(ctx, fenced, patience)
		kept := s.published(ctx, other, patience)
		killNode(ctx, sick)
		s.fence(ctx, fenced)

		expectOrder(attached.goneAt(ctx, attachment.UID), pods.goneAt(ctx, fenced.UID))
		expectEvent(ctx, s.namespace, fenced.Name, failover.EventDetaching)
		expectEvent(ctx, s.namespace, fenced.Name, failover.EventForceDeleting)
		Expect(expectLeft(ctx, other, failover.NeedsProof)).To(ContainSubstring("kubectl taint node " + sick))
		Expect(expectEvent(ctx, s.namespace, other.Name, failover.NeedsProof)).To(ContainSubstring("nothing proves"))
		s.movedFrom(ctx, fenced, detachPatience)

		s.expectNotRemoved(ctx, other)
		Expect(attachments(ctx, Default, s.volume(ctx, other).Name)[sick].DeletionTimestamp).To(BeNil())
		Expect(attachments(ctx, Default, s.volume(ctx, other).Name)[sick].UID).To(Equal(kept.UID))
		Expect(box.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.DeletionTimestamp).To(BeNil())
		Expect(nodes.outOfServiceTaints()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("is not out of service while another driver's volume is attached to it", func(ctx SpecContext) {
		pod := s.database(ctx, "db")
		sick := pod.Spec.NodeName
		foreign := attachForeign(ctx, sick)
		pods, nodes, attached := s.followPods(ctx), followNode(ctx, sick), followAttachments(ctx)
		attachment := s.published(ctx, pod, patience)
		killNode(ctx, sick)
		expectOrder(attached.goneAt(ctx, attachment.UID), pods.goneAt(ctx, pod.UID))
		s.movedFrom(ctx, pod, detachPatience)

		Expect(nodes.outOfServiceTaints()).To(BeEmpty())
		Expect(box.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.DeletionTimestamp).To(BeNil())
	}, SpecTimeout(specTimeout))
})

// daemonPod is the pod of a DaemonSet that runs on that node alone.
func (s *scene) daemonPod(ctx context.Context, node string) *corev1.Pod {
	GinkgoHelper()
	labels := map[string]string{"app": "daemon"}
	Expect(s.client.Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "daemon"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					SchedulerName: sandbox.SchedulerName,
					NodeSelector:  map[string]string{corev1.LabelHostname: node},
					Containers:    []corev1.Container{{Name: "main", Image: "main"}},
				},
			},
		},
	})).To(Succeed())
	var pods corev1.PodList
	Eventually(func(g Gomega) {
		g.Expect(s.client.List(ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels(labels))).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(1))
	}).WithContext(ctx).Should(Succeed())
	return s.running(ctx, pods.Items[0].Name, "")
}

// staticPod is what a kubelet writes to the API server of a pod that it has from a file.
func (s *scene) staticPod(ctx context.Context, node string) *corev1.Pod {
	GinkgoHelper()
	return s.barePod(ctx, "static", node, map[string]string{corev1.MirrorPodAnnotationKey: "hash"})
}

// plainPod has no volume.
func (s *scene) plainPod(ctx context.Context, node string) *corev1.Pod {
	GinkgoHelper()
	return s.barePod(ctx, "plain", node, nil)
}

func (s *scene) barePod(ctx context.Context, name, node string, annotations map[string]string) *corev1.Pod {
	GinkgoHelper()
	Expect(s.client.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: annotations},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "main"}}},
	})).To(Succeed())
	return s.running(ctx, name, "")
}

// expectNoEvent finds that nothing with that reason was said about a pod so far.
func (s *scene) expectNoEvent(ctx context.Context, pod, reason string) {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	for i := range list.Items {
		if list.Items[i].Regarding.Name == pod {
			Expect(list.Items[i].Reason).NotTo(Equal(reason))
		}
	}
}
