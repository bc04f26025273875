// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// mostWrites is far above what a failover of one pod takes.
const mostWrites = 20

var _ = Describe("A manager that is killed after any of its writes", func() {
	for _, p := range []procedure{evicting, tainting, partly} {
		It("leaves nothing that the next one does not finish: "+p.name, func(ctx SpecContext) {
			s := newScene(ctx)
			through := managerThrough(ctx, hasty)
			sick := sandbox.NodeName(0)
			foreign := p.prepare(ctx, sick)
			var pods []*corev1.Pod
			for killed := true; killed; {
				Expect(len(pods)).To(BeNumerically("<", mostWrites))
				pod := s.onNode(ctx, fmt.Sprintf("db%d", len(pods)+1), sick)
				s.published(ctx, pod, detachPatience)
				pods = append(pods, pod)
				killed = s.survives(ctx, through, len(pods), func() { p.fail(ctx, sick) }, pod)
				expectNoViolation(ctx)
				mendAll(ctx)
				expectAllHealthy(ctx)
			}
			By(fmt.Sprintf("%d writes in all", len(pods)-1))
			Expect(len(pods)).To(BeNumerically(">", 2), "nothing was written")
			for _, pod := range pods {
				s.movedFrom(ctx, pod, detachPatience)
			}
			if foreign != nil {
				Expect(box.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
				Expect(foreign.DeletionTimestamp).To(BeNil())
			}
		}, SpecTimeout(3*specTimeout))
	}
})

// survives kills the manager after its n-th write about the failure, starts another one, and finds that everything ends as
// it does without. It is false where there were fewer writes.
func (s *scene) survives(ctx context.Context, through *proxy, n int, fail func(), pod *corev1.Pod) bool {
	GinkgoHelper()
	sick := pod.Spec.NodeName
	pods, killed := s.followPods(ctx), make(chan struct{})
	before := storageNode(ctx, Default, sick).Status.Failover
	disarm := through.After(n, call.Writes, func() {
		box.Manager.Kill()
		close(killed)
	})
	fail()
	done := func(g Gomega) {
		object := storageNode(ctx, g, sick)
		over := object.Status.Failover
		g.Expect(over).NotTo(BeNil(), object.Status.Message)
		g.Expect(before == nil || over.StartTime.After(before.StartTime.Time)).To(BeTrue(), "the journal is an old one")
		g.Expect(over.Moved).To(BeEquivalentTo(1))
		g.Expect(over.Pods).To(BeEmpty())
		// Attach-detach may take a minute to see that an attachment is gone. Nothing is left to do then.
		if !strings.Contains(object.Status.Message, "still being detached") {
			g.Expect(object.Status.State).To(Equal(storagev1alpha1.HealthFailedOver), object.Status.Message)
			g.Expect(over.CompletionTime).NotTo(BeNil())
		}
		node := &corev1.Node{}
		g.Expect(box.Client.Get(ctx, client.ObjectKey{Name: sick}, node)).To(Succeed())
		for _, taint := range node.Spec.Taints {
			g.Expect(taint.Key).NotTo(Equal(corev1.TaintNodeOutOfService))
		}
	}
	Eventually(func(g Gomega) {
		select {
		case <-killed:
		default:
			done(g)
		}
	}).WithContext(ctx).Should(Succeed())
	disarm()
	crashed := false
	select {
	case <-killed:
		crashed = true
		box.Manager = through.manager(ctx, sandbox.ManagerOptions{Config: hasty})
		Eventually(done).WithContext(ctx).Should(Succeed())
	default:
	}
	moved := s.running(ctx, pod.Name, string(pod.UID))
	Expect(moved.Spec.NodeName).NotTo(Equal(sick))
	Expect(pods.pods(pod.Name)).To(Equal(2), "exactly one replacement")
	return crashed
}
