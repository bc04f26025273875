// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

var _ = Describe("A pod with a volume", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("of a StatefulSet comes back to its data every time", func(ctx SpecContext) {
		const replicas = 4
		s.create(ctx, newStatefulSet("db", replicas))
		s.waitForRunning(ctx, replicas)
		dataNodes := map[string][]string{}
		for i := range replicas {
			pod := fmt.Sprintf("db-%d", i)
			dataNodes[pod] = s.volumeOf(ctx, "data-"+pod).dataNodes
		}
		for range 3 {
			for _, pod := range s.recreate(ctx, replicas) {
				Expect(dataNodes[pod.Name]).To(ContainElement(pod.Spec.NodeName), pod.Name)
			}
		}
	})

	It("goes to a data node though every other node has more room", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nearlyFull, v.dataNodes)
		Expect(v.dataNodes).To(ContainElement(s.run(ctx, "pod", using(v.claim))))
	})

	It("goes where all of its volumes are", func(ctx SpecContext) {
		first, second := s.provision(ctx, "first", sandbox.NodeName(0)), s.provision(ctx, "second", sandbox.NodeName(0))
		second = s.moveReplica(ctx, second, first)
		s.fill(ctx, nearlyFull, []string{sandbox.NodeName(0)})
		Expect(s.run(ctx, "pod", using(first.claim, second.claim))).To(Equal(sandbox.NodeName(0)))
	})

	It("whose policy is Avoid goes as far from the replicas as it can, though they have the most room", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, "1", without(allNodes(), v.dataNodes))
		node := s.run(ctx, "pod", using(v.claim), annotated(volumelocality.Avoid))
		Expect(s.strangers(ctx, v.dataNodes)).To(ContainElement(node))
	})

	It("whose policy is Ignored is placed as if nobody knew where the volume is", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nearlyFull, v.dataNodes)
		node := s.run(ctx, "pod", using(v.claim), annotated(volumelocality.Ignored))
		Expect(v.dataNodes).NotTo(ContainElement(node))
		Expect(s.notes(ctx, "pod", reasonFailedScheduling)).To(BeEmpty())
	})

	type policies struct{ class, claim, pod volumelocality.Policy }
	DescribeTable("follows the annotation of the pod, else of the claim, else of the class",
		func(ctx SpecContext, tc policies, local bool) {
			claim := newClaim("data", s.newClass(ctx, tc.class).Name)
			if tc.claim != "" {
				claim.Annotations[volumelocality.PolicyAnnotation] = string(tc.claim)
			}
			v := s.provisionOf(ctx, claim, sandbox.NodeName(0))
			options := []podOption{using(v.claim)}
			if tc.pod != "" {
				options = append(options, annotated(tc.pod))
			}
			// Of themselves pods would go to where the policy does not want them.
			want, roomy := v.dataNodes, s.strangers(ctx, v.dataNodes)
			if !local {
				want, roomy = roomy, want
			}
			s.fill(ctx, nearlyFull, without(allNodes(), roomy))
			Expect(want).To(ContainElement(s.run(ctx, "pod", options...)))
		},
		Entry("the class's alone", policies{class: volumelocality.Avoid}, false),
		Entry("the claim's over the class's", policies{class: volumelocality.Avoid, claim: volumelocality.Preferred}, true),
		Entry("the claim's where the class has none", policies{claim: volumelocality.Avoid}, false),
		Entry("the pod's over both", policies{class: volumelocality.Preferred, claim: volumelocality.Preferred, pod: volumelocality.Avoid}, false),
		Entry("the pod's over the claim's", policies{claim: volumelocality.Avoid, pod: volumelocality.Preferred}, true),
		Entry("none, which is Preferred", policies{}, true),
	)
})

// moveReplica takes a volume's second replica to a node where the other volume has none.
func (s *space) moveReplica(ctx context.Context, v, other volume) volume {
	GinkgoHelper()
	first := sandbox.NodeName(0)
	free := without(s.strangers(ctx, other.dataNodes), v.dataNodes)
	Expect(free).NotTo(BeEmpty())
	for _, node := range without(v.dataNodes, []string{first}) {
		Expect(s.box.Sim.LoseReplica(ctx, v.handle, node)).To(Succeed())
	}
	Expect(s.box.Sim.SetReplicaState(ctx, v.handle, free[0], "InSync")).To(Succeed())
	v.dataNodes = []string{first, free[0]}
	Eventually(func(g Gomega) {
		g.Expect(s.inSync(ctx, g, v.handle)).To(ConsistOf(v.dataNodes))
	}).WithContext(ctx).Should(Succeed())
	return v
}

// newStatefulSet has one claim a pod, and makes all pods at once.
func newStatefulSet(name string, replicas int32) *appsv1.StatefulSet {
	template := newPod("")
	// With time to end, only kwok removes them; it would remove their successors too if they were gone before.
	template.Spec.TerminationGracePeriodSeconds = ptr.To(int64(30))
	template.Labels = map[string]string{"app": name}
	template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas:             ptr.To(replicas),
			Selector:             &metav1.LabelSelector{MatchLabels: template.Labels},
			PodManagementPolicy:  appsv1.ParallelPodManagement,
			Template:             corev1.PodTemplateSpec{ObjectMeta: template.ObjectMeta, Spec: template.Spec},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{*newClaim("data", sandbox.StorageClass)},
		},
	}
}

// recreate deletes all pods of the namespace, and returns those that run in their place.
func (s *space) recreate(ctx context.Context, count int) []corev1.Pod {
	GinkgoHelper()
	before := s.uids(ctx)
	Expect(s.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.namespace))).To(Succeed())
	return s.waitForRunning(ctx, count, slices.Collect(maps.Values(before))...)
}

// waitForRunning waits until so many pods run, not counting those on their way out, and returns them.
func (s *space) waitForRunning(ctx context.Context, count int, leaving ...types.UID) []corev1.Pod {
	GinkgoHelper()
	var running []corev1.Pod
	Eventually(func(g Gomega) {
		running = slices.DeleteFunc(s.pods(ctx), func(pod corev1.Pod) bool {
			return pod.Status.Phase != corev1.PodRunning || slices.Contains(leaving, pod.UID)
		})
		g.Expect(running).To(HaveLen(count))
	}).WithContext(ctx).Should(Succeed())
	return running
}
