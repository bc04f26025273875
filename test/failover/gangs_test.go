// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
)

// moveGang moves a PodGroup as a whole where it would break otherwise.
const moveGang = quick + `  failover:
    gangPolicy: MoveGang
`

var _ = Describe("A PodGroup with a pod on a node whose storage failed", Ordered, func() {
	const members = 3
	var s *scene
	BeforeAll(func() { Expect(box.InstallPodGroupCRD()).To(Succeed()) })
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	// run runs a group of three, each on a node of its own, the first on the one that fails.
	run := func(ctx context.Context, name, sick string, minMember int32) []*corev1.Pod {
		GinkgoHelper()
		Expect(s.client.Create(ctx, &schedulingv1alpha1.PodGroup{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
			Spec:       schedulingv1alpha1.PodGroupSpec{MinMember: minMember},
		})).To(Succeed())
		s.database(ctx, name, replicas(members), inGroup(name), onNode(sick), apart)
		pods := make([]*corev1.Pod, members)
		first := -1
		for i := range pods {
			pods[i] = s.running(ctx, fmt.Sprintf("%s-%d", name, i), "")
			if pods[i].Spec.NodeName == sick {
				first = i
			}
		}
		Expect(first).To(BeNumerically(">=", 0), "no pod of %s is on %s", name, sick)
		pods[0], pods[first] = pods[first], pods[0]
		return pods
	}

	It("gives away what it can spare, and waits or moves as a whole where that would break it", func(ctx SpecContext) {
		sick := sandbox.NodeName(2)
		spare, tight := run(ctx, "spare", sick, members-1), run(ctx, "tight", sick, members)
		failStorage(ctx, sick)
		s.expectMoves(ctx, spare[0])
		Expect(expectLeft(ctx, tight[0], candidates.GangWouldBreak)).To(ContainSubstring("PodGroup tight needs 3 running pods and would have 2"))
		expectNote(ctx, s.namespace, tight[0].Name, candidates.GangWouldBreak, "gangPolicy Wait")
		s.expectAllStay(ctx, threeLooks, spare[1], spare[2], tight[0], tight[1], tight[2])

		restartManager(ctx, moveGang)
		s.expectMoves(ctx, tight[0])
		for _, pod := range tight[1:] {
			s.running(ctx, pod.Name, string(pod.UID))
		}
		s.expectAllStay(ctx, threeLooks, spare[1], spare[2])
	}, SpecTimeout(specTimeout))

	It("is not torn apart when one of its pods may not be evicted, wherever that is", func(ctx SpecContext) {
		restartManager(ctx, moveGang)
		sick := sandbox.NodeName(3)
		pods := run(ctx, "kept", sick, members)
		// They are evicted by name: this one comes last of those elsewhere.
		last := slices.MaxFunc(pods[1:], func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
		budget := s.forbidOne(ctx, last)
		failStorage(ctx, sick)
		Expect(expectLeft(ctx, pods[0], failover.DisruptionBudget)).To(ContainSubstring("pod " + last.Name + " of its group"))
		s.expectAllStay(ctx, specPause, pods...)
		Expect(s.client.Delete(ctx, budget)).To(Succeed())
		s.expectMoves(ctx, pods[0])
		for _, pod := range pods[1:] {
			s.running(ctx, pod.Name, string(pod.UID))
		}
	}, SpecTimeout(specTimeout))
})

// forbidOne has a PodDisruptionBudget keep one pod of a StatefulSet, and waits until it does.
func (s *scene) forbidOne(ctx context.Context, pod *corev1.Pod) *policyv1.PodDisruptionBudget {
	GinkgoHelper()
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: pod.Name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)),
			Selector:       &metav1.LabelSelector{MatchLabels: map[string]string{appsv1.StatefulSetPodNameLabel: pod.Name}},
		},
	}
	Expect(s.client.Create(ctx, budget)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(budget), budget)).To(Succeed())
		g.Expect(budget.Status.ObservedGeneration).To(Equal(budget.Generation))
	}).WithContext(ctx).Should(Succeed())
	return budget
}
