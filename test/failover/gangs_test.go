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
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/candidates"
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
})
