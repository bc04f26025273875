// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

// The priority classes, above the priority 0 of pods that name none.
const (
	middlePriority = "middle"
	highPriority   = "high"
)

// podOption changes a pod that is about to be created.
type podOption func(*corev1.Pod)

// newPod is a small pod of our scheduler.
func newPod(name string, options ...podOption) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			SchedulerName:                 sandbox.SchedulerName,
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
			Containers:                    []corev1.Container{{Name: "main", Image: "main"}},
		},
	}
	for _, option := range append([]podOption{needing("100m")}, options...) {
		option(pod)
	}
	return pod
}

// using mounts claims.
func using(claims ...string) podOption {
	return func(pod *corev1.Pod) {
		for _, claim := range claims {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}})
		}
	}
}

// annotated sets the locality policy, or what should have been one.
func annotated(policy volumelocality.Policy) podOption {
	return func(pod *corev1.Pod) { pod.Annotations[volumelocality.PolicyAnnotation] = string(policy) }
}

// needing requests CPU.
func needing(cpu string) podOption {
	return func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
}

// on puts a pod on a node without any scheduler.
func on(node string) podOption {
	return func(pod *corev1.Pod) { pod.Spec.NodeName = node }
}

// preferring has the pod prefer nodes.
func preferring(nodes []string) podOption {
	return func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 100, Preference: hostnameIn(nodes).Required.NodeSelectorTerms[0],
			}},
		}}
	}
}

// generated has the API server choose the name.
func generated(prefix string) podOption {
	return func(pod *corev1.Pod) { pod.GenerateName = prefix }
}

// ranked sets the priority class.
func ranked(class string) podOption {
	return func(pod *corev1.Pod) { pod.Spec.PriorityClassName = class }
}

// createPriorities makes the priority classes of all specs. The API server learns of them a moment later.
func createPriorities(ctx context.Context, box *sandbox.Sandbox) {
	GinkgoHelper()
	for name, value := range map[string]int32{middlePriority: 100, highPriority: 1000} {
		Expect(box.Client.Create(ctx, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value})).To(Succeed())
	}
}

// run creates a pod and returns the node that it is bound to.
func (s *space) run(ctx context.Context, name string, options ...podOption) string {
	GinkgoHelper()
	s.create(ctx, newPod(name, options...))
	return s.nodeOf(ctx, name)
}

// nodeOf waits until a pod is bound, and returns where.
func (s *space) nodeOf(ctx context.Context, name string) string {
	GinkgoHelper()
	var pod *corev1.Pod
	Eventually(func(g Gomega) {
		pod = s.pod(ctx, g, name)
		g.Expect(pod.Spec.NodeName).NotTo(BeEmpty(), "conditions %v", pod.Status.Conditions)
	}).WithContext(ctx).Should(Succeed())
	return pod.Spec.NodeName
}

// rerun deletes a pod, creates one like it and returns that one's node. It has another name: kwok deletes pods by name, so
// that one of the old name may be gone before it is bound.
func (s *space) rerun(ctx context.Context, old, name string, options ...podOption) string {
	GinkgoHelper()
	s.deletePod(ctx, old)
	return s.run(ctx, name, options...)
}

// pend creates a pod that is not bound, and returns the reason that its status gives.
func (s *space) pend(ctx context.Context, name string, options ...podOption) string {
	GinkgoHelper()
	s.create(ctx, newPod(name, options...))
	return s.reasonOf(ctx, name)
}

// reasonOf waits until the scheduler has given up on a pod, and returns what it says.
func (s *space) reasonOf(ctx context.Context, name string) string {
	GinkgoHelper()
	var message string
	Eventually(func(g Gomega) {
		pod := s.pod(ctx, g, name)
		g.Expect(pod.Spec.NodeName).To(BeEmpty())
		message = scheduledCondition(pod).Message
		g.Expect(message).NotTo(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
	return message
}

func scheduledCondition(pod *corev1.Pod) corev1.PodCondition {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition
		}
	}
	return corev1.PodCondition{}
}

func (s *space) pod(ctx context.Context, g Gomega, name string) *corev1.Pod {
	pod := &corev1.Pod{}
	g.Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, pod)).To(Succeed())
	return pod
}

func (s *space) deletePod(ctx context.Context, name string) {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	Expect(s.client.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
}

func (s *space) pods(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	var list corev1.PodList
	Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	return list.Items
}

// uids are the pods of the namespace that are not on their way out.
func (s *space) uids(ctx context.Context) map[string]types.UID {
	GinkgoHelper()
	uids := map[string]types.UID{}
	for _, pod := range s.pods(ctx) {
		if pod.DeletionTimestamp == nil {
			uids[pod.Name] = pod.UID
		}
	}
	return uids
}

// fill takes CPU of nodes, by a pod on each of them. The scheduler hears of it before it hears of any pod that is created
// later.
func (s *space) fill(ctx context.Context, cpu string, nodes []string, options ...podOption) {
	GinkgoHelper()
	for _, node := range nodes {
		s.create(ctx, newPod(filler(node), append([]podOption{on(node), needing(cpu)}, options...)...))
	}
}

// filler is the name of the pod that takes the CPU of a node.
func filler(node string) string { return "filler-" + node }
