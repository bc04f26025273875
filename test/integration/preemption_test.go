// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

// half of a node, so that two pods fill it.
const half = "1"

var _ = Describe("Room on a data node", func() {
	var s *space
	var v volume
	// One data node is taken by a pod that cannot be evicted; on the other run, from the oldest to the youngest, what a spec
	// puts there.
	BeforeEach(func(ctx SpecContext) {
		s = newSpace(ctx, shared)
		v = s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes[1:], ranked(highPriority))
	})

	It("is made by the pod without storage, though one next to its own data is younger", func(ctx SpecContext) {
		neighbour := s.provision(ctx, "neighbour", v.dataNodes[0])
		s.create(ctx, newPod("stateless", on(v.dataNodes[0]), needing(half)))
		s.create(ctx, newPod("neighbour", on(v.dataNodes[0]), needing(half), using(neighbour.claim)))
		before := s.uids(ctx)
		node := s.run(ctx, "pod", using(v.claim), needing(half), ranked(highPriority), annotated(volumelocality.Required))
		Expect(node).To(Equal(v.dataNodes[0]))
		s.expectEvicted(ctx, before, "stateless")
	})

	It("is made by a pod next to its own data where a disruption budget keeps the other", func(ctx SpecContext) {
		neighbour := s.provision(ctx, "neighbour", v.dataNodes[0])
		s.create(ctx, newPod("guarded", on(v.dataNodes[0]), needing(half), withLabel("app", "guarded")))
		s.create(ctx, newPod("neighbour", on(v.dataNodes[0]), needing(half), using(neighbour.claim)))
		s.create(ctx, &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: "guarded"},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: ptr.To(intstr.FromInt32(1)),
				Selector:     &metav1.LabelSelector{MatchLabels: map[string]string{"app": "guarded"}},
			},
		})
		s.waitForBudget(ctx, "guarded")
		before := s.uids(ctx)
		node := s.run(ctx, "pod", using(v.claim), needing(half), ranked(highPriority), annotated(volumelocality.Required))
		Expect(node).To(Equal(v.dataNodes[0]))
		s.expectEvicted(ctx, before, "neighbour")
	})

	It("is not made by an equal, and the pod says what its data nodes lack", func(ctx SpecContext) {
		s.fill(ctx, nodeCPU, v.dataNodes[:1], ranked(highPriority))
		before := s.uids(ctx)
		message := s.pend(ctx, "pod", using(v.claim), ranked(highPriority), annotated(volumelocality.Required))
		Expect(message).To(ContainSubstring("volume locality is Required, and of the 2 node(s) with the data: 2 Insufficient cpu"))
		s.expectEvicted(ctx, before)
	})

	It("is not made by a pod that must not preempt", func(ctx SpecContext) {
		class := &schedulingv1.PriorityClass{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}, Value: 1000, PreemptionPolicy: ptr.To(corev1.PreemptNever),
		}
		s.createForSpec(ctx, class)
		s.fill(ctx, nodeCPU, v.dataNodes[:1])
		before := s.uids(ctx)
		pod := newPod("pod", using(v.claim), ranked(class.Name), annotated(volumelocality.Required))
		pod.Namespace = s.namespace
		// The API server learns of the class a moment later.
		Eventually(func() error { return s.client.Create(ctx, pod.DeepCopy()) }).WithContext(ctx).Should(Succeed())
		Expect(s.reasonOf(ctx, "pod")).To(ContainSubstring("volume locality is Required"))
		s.expectEvicted(ctx, before)
	})
})

// withLabel sets a label.
func withLabel(key, value string) podOption {
	return func(pod *corev1.Pod) { pod.Labels = map[string]string{key: value} }
}

// waitForBudget waits until Kubernetes has found that the budget allows no disruption, of the one pod that it is about.
func (s *space) waitForBudget(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		budget := &policyv1.PodDisruptionBudget{}
		g.Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, budget)).To(Succeed())
		g.Expect(budget.Status.CurrentHealthy).To(Equal(int32(1)))
		g.Expect(budget.Status.DisruptionsAllowed).To(BeZero())
	}).WithContext(ctx).Should(Succeed())
}

// failures is how often the scheduler has said that it finds no node for a pod that is pending.
func (s *space) failures(ctx context.Context, pod string) int {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	count := 0
	for _, event := range list.Items {
		if event.Regarding.Name != pod || event.Reason != reasonFailedScheduling {
			continue
		}
		count++
		if event.Series != nil {
			count += int(event.Series.Count) - 1
		}
	}
	return count
}
