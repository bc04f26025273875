// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
)

// patience is for what takes seconds; kwok renews a lease every ten.
const patience = time.Minute

// cluster is a sandbox with what these tests do in it.
type cluster struct{ *sandbox.Sandbox }

func startCluster(ctx context.Context, opts sandbox.Options) cluster {
	GinkgoHelper()
	running, err := sandbox.Start(ctx, opts)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(running.Stop)
	return cluster{running}
}

// place makes a pod on a node. kube-controller-manager makes the namespace's service account soon after the start.
func (c cluster) place(ctx context.Context, name, node string) {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "simulated"}}},
	}
	Eventually(func() error { return c.Client.Create(ctx, pod) }, patience, "100ms").Should(Succeed())
}

func (c cluster) pod(ctx context.Context, g Gomega, name string) *corev1.Pod {
	pod := &corev1.Pod{}
	g.Expect(c.Client.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name}, pod)).To(Succeed())
	return pod
}

func (c cluster) expectGone(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(c.Client.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name}, &corev1.Pod{}))
	}, patience, "50ms").Should(BeTrue(), "pod "+name+" is still there")
}

func (c cluster) patch(ctx context.Context, object client.Object, patch string) {
	GinkgoHelper()
	Expect(c.Client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
}

func (c cluster) lease(ctx context.Context, g Gomega, node string) time.Time {
	var lease coordinationv1.Lease
	g.Expect(c.Client.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: node}, &lease)).To(Succeed())
	return lease.Spec.RenewTime.Time
}

func (c cluster) node(ctx context.Context, g Gomega, name string) *corev1.Node {
	node := &corev1.Node{}
	g.Expect(c.Client.Get(ctx, client.ObjectKey{Name: name}, node)).To(Succeed())
	return node
}

func podReady(pod *corev1.Pod) corev1.ConditionStatus {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status
		}
	}
	return ""
}

func nodeReady(node *corev1.Node) corev1.ConditionStatus {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status
		}
	}
	return ""
}

// What happens to the nodes. A pod on each is called as its node is.
const (
	dead    = "node-000"
	noticed = "node-001"
	hanging = "node-002"
	well    = "node-003"
)

var _ = Describe("A kubelet", func() {
	It("that is killed leaves its node, lease and pods alone until it is revived, and a pod that hangs stays", func(ctx SpecContext) {
		c := startCluster(ctx, small(newDir()))
		c.place(ctx, "survivor", noticed)
		for _, node := range []string{dead, noticed, hanging, well} {
			c.place(ctx, node, node)
		}
		for _, name := range []string{dead, noticed, hanging, well, "survivor"} {
			Eventually(func(g Gomega) { g.Expect(podReady(c.pod(ctx, g, name))).To(Equal(corev1.ConditionTrue)) }, patience, "50ms").Should(Succeed())
		}
		c.patch(ctx, c.pod(ctx, Default, hanging), `{"metadata":{"annotations":{"`+sandbox.AnnotationHangs+`":"true"}}}`)
		Expect(c.KillKubelet(ctx, dead)).To(Succeed())
		Expect(c.KillKubelet(ctx, noticed, sandbox.Noticed)).To(Succeed())
		c.place(ctx, "late", dead)
		leases := map[string]time.Time{}
		for _, node := range []string{dead, noticed, hanging, well} {
			leases[node] = c.lease(ctx, Default, node)
			Expect(c.Client.Delete(ctx, c.pod(ctx, Default, node), client.GracePeriodSeconds(1))).To(Succeed())
		}

		By("waiting until the living have renewed their leases and the dead one was tainted")
		c.expectGone(ctx, well)
		Eventually(func(g Gomega) {
			g.Expect(c.node(ctx, g, noticed).Spec.Taints).To(ContainElement(SatisfyAll(
				HaveField("Key", corev1.TaintNodeUnreachable), HaveField("Effect", corev1.TaintEffectNoExecute))))
			for _, node := range []string{hanging, well} {
				g.Expect(c.lease(ctx, g, node)).To(BeTemporally(">", leases[node]))
			}
		}, patience, "100ms").Should(Succeed())
		expectUntouched(ctx, c, leases)

		By("reviving them")
		Expect(c.ReviveKubelet(ctx, dead)).To(Succeed())
		Expect(c.ReviveKubelet(ctx, noticed)).To(Succeed())
		expectRevived(ctx, c, leases[noticed])

		By("letting the pod that hangs go")
		Expect(c.pod(ctx, Default, hanging).DeletionTimestamp).NotTo(BeNil())
		c.patch(ctx, c.pod(ctx, Default, hanging), `{"metadata":{"annotations":{"`+sandbox.AnnotationHangs+`":null}}}`)
		c.expectGone(ctx, hanging)
	}, NodeTimeout(startTimeout))
})

// expectUntouched finds the dead nodes, their leases and their pods, and the pod that hangs, as they were left.
func expectUntouched(ctx context.Context, c cluster, leases map[string]time.Time) {
	GinkgoHelper()
	for _, node := range []string{dead, noticed} {
		Expect(c.lease(ctx, Default, node)).To(BeTemporally("==", leases[node]), "the lease of "+node)
		Expect(c.node(ctx, Default, node).Labels).To(HaveKeyWithValue(sandbox.LabelKubelet, "dead"))
	}
	for _, name := range []string{dead, noticed, hanging} {
		Expect(c.pod(ctx, Default, name).DeletionTimestamp).NotTo(BeNil(), "pod "+name)
	}
	Expect(c.pod(ctx, Default, "late").Status.Phase).To(Equal(corev1.PodPending))
	Expect(nodeReady(c.node(ctx, Default, dead))).To(Equal(corev1.ConditionTrue), "nobody has noticed yet")
	Expect(nodeReady(c.node(ctx, Default, noticed))).To(Equal(corev1.ConditionUnknown))
	Expect(podReady(c.pod(ctx, Default, "survivor"))).To(Equal(corev1.ConditionFalse))
	Expect(time.Since(leases[noticed])).To(BeNumerically(">", 50*time.Second), "its lease is as old as if it had been noticed")
}

// expectRevived finds the pods that were deleted gone, and the others and the node ready.
func expectRevived(ctx context.Context, c cluster, lease time.Time) {
	GinkgoHelper()
	c.expectGone(ctx, dead)
	c.expectGone(ctx, noticed)
	Eventually(func(g Gomega) {
		g.Expect(podReady(c.pod(ctx, g, "late"))).To(Equal(corev1.ConditionTrue))
		g.Expect(podReady(c.pod(ctx, g, "survivor"))).To(Equal(corev1.ConditionTrue))
		node := c.node(ctx, g, noticed)
		g.Expect(nodeReady(node)).To(Equal(corev1.ConditionTrue))
		g.Expect(node.Spec.Taints).To(BeEmpty())
		g.Expect(c.lease(ctx, g, noticed)).To(BeTemporally(">", lease))
	}, patience, "100ms").Should(Succeed())
}

var _ = Describe("A node plugin", func() {
	It("runs on each node, is as ready as it is told to be, and registers its driver", func(ctx SpecContext) {
		opts := small(newDir())
		opts.Without.Delete(sandbox.StockScheduler)
		c := startCluster(ctx, opts)
		Expect(c.StartNodePlugins(ctx)).To(Succeed())
		readyPlugins := func(g Gomega) int32 {
			var set appsv1.DaemonSet
			key := client.ObjectKey{Namespace: sandbox.NodePluginNamespace, Name: sandbox.NodePluginName}
			g.Expect(c.Client.Get(ctx, key, &set)).To(Succeed())
			return set.Status.NumberReady
		}
		Expect(c.SetPluginReady(ctx, "node-001", false)).To(Succeed())
		Eventually(readyPlugins, patience, "50ms").Should(BeEquivalentTo(3))
		Consistently(readyPlugins, "1s", "100ms").Should(BeEquivalentTo(3))
		Expect(c.SetPluginReady(ctx, "node-001", true)).To(Succeed())
		Eventually(readyPlugins, patience, "50ms").Should(BeEquivalentTo(4))

		drivers := func() []storagev1.CSINodeDriver {
			var csiNode storagev1.CSINode
			Expect(c.Client.Get(ctx, client.ObjectKey{Name: "node-001"}, &csiNode)).To(Succeed())
			return csiNode.Spec.Drivers
		}
		before := drivers()
		Expect(before).To(HaveLen(1))
		Expect(c.SetDriverRegistered(ctx, "node-001", false)).To(Succeed())
		Expect(drivers()).To(BeEmpty())
		Expect(c.SetDriverRegistered(ctx, "node-001", true)).To(Succeed())
		Expect(c.SetDriverRegistered(ctx, "node-001", true)).To(Succeed(), "once more")
		Expect(drivers()).To(Equal(before))

		By("installing the definitions of other projects")
		Expect(c.InstallPodGroupCRD()).To(Succeed())
		Expect(c.InstallNetworkFenceCRD()).To(Succeed())
	}, NodeTimeout(startTimeout))
})
