// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

const (
	// manyPods are on the failing node, and perMinute of them may be moved in a minute.
	manyPods, perMinute = 500, 300
	// manyTimeout is for making their volumes and moving them.
	manyTimeout = 9 * time.Minute
	// manyPatience is for all of them.
	manyPatience = 4 * time.Minute
	// budgetWindow is the minute of the budget, less what a pod may take from being counted to being evicted.
	budgetWindow = time.Minute - 2*time.Second
	// callsPerPod is what moving a pod may cost the API server, events aside.
	callsPerPod = 5
)

var throttled = quick + fmt.Sprintf(`  failover:
    podsPerMinute: %d
`, perMinute)

var _ = Describe("Five hundred pods on a failing node", func() {
	It("are moved as fast as the budget allows, at few calls each, and hold up no other node", func(ctx SpecContext) {
		s := newScene(ctx)
		through := managerThrough(ctx, throttled)
		crowded, other := sandbox.NodeName(2), sandbox.NodeName(7)
		started := time.Now()
		s.crowd(ctx, crowded)
		single := s.onNode(ctx, "single", other)
		Expect(single.Spec.NodeName).To(Equal(other))
		s.published(ctx, single, patience)
		AddReportEntry("making the pods", time.Since(started).String())

		before := through.Count()
		failStorage(ctx, crowded)
		failStorage(ctx, other)
		s.movedFrom(ctx, single, patience)
		object := storageNode(ctx, Default, crowded)
		Expect(object.Status.State).To(Equal(storagev1alpha1.HealthUnhealthy), "the crowded node is still being failed over")
		Expect(object.Status.Failover.Moved).To(BeNumerically("<", manyPods))

		// Some of the crowd have their other copy there, and stay until it may be used.
		Expect(box.Sim.SetNodeState(ctx, other, storagev1alpha1.StorageOnline, "")).To(Succeed())
		Eventually(func(g Gomega) {
			object := storageNode(ctx, g, crowded)
			g.Expect(object.Status.State).To(Equal(storagev1alpha1.HealthFailedOver), object.Status.Message)
			g.Expect(object.Status.Failover.Moved).To(BeEquivalentTo(manyPods))
		}).WithContext(ctx).WithTimeout(manyPatience).WithPolling(10 * poll).Should(Succeed())
		evictions := through.All(evicts, call.Succeeded)
		Expect(evictions).To(HaveLen(manyPods+1), "one eviction a pod")
		expectBudget(evictions)
		calls := through.All()[before:]
		events := through.Count(func(c call) bool { return !c.Writes() && c.Method != "GET" })
		AddReportEntry("evictions took", evictions[manyPods].At.Sub(evictions[0].At).String())
		AddReportEntry("calls a pod", fmt.Sprintf("%.2f, and %d events and Leases in all", float64(len(calls)-events)/manyPods, events))
		Expect(len(calls) - events).To(BeNumerically("<=", callsPerPod*manyPods))
		s.expectAllElsewhere(ctx, crowded)
	}, SpecTimeout(manyTimeout))
})

// crowd runs all the pods on one node, as no other takes any meanwhile.
func (s *scene) crowd(ctx context.Context, node string) {
	GinkgoHelper()
	setCordoned(ctx, node, true)
	DeferCleanup(func(ctx SpecContext) { setCordoned(ctx, node, false) }, NodeTimeout(patience))
	SetDefaultEventuallyTimeout(manyPatience)
	defer SetDefaultEventuallyTimeout(patience)
	s.database(ctx, "crowd", replicas(manyPods))
	Eventually(func(g Gomega) {
		volumes, err := box.Sim.Volumes(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		published := 0
		for i := range volumes {
			if len(volumes[i].Published) > 0 {
				published++
			}
		}
		g.Expect(published).To(BeNumerically(">=", manyPods))
	}).WithContext(ctx).WithPolling(20 * poll).Should(Succeed())
	setCordoned(ctx, node, false)
}

// setCordoned cordons all nodes but one, or none.
func setCordoned(ctx context.Context, but string, cordoned bool) {
	GinkgoHelper()
	for i := range nodeCount {
		name := sandbox.NodeName(i)
		if name == but {
			continue
		}
		Eventually(func(g Gomega) {
			node := &corev1.Node{}
			g.Expect(box.Client.Get(ctx, client.ObjectKey{Name: name}, node)).To(Succeed())
			changed := node.DeepCopy()
			changed.Spec.Unschedulable = cordoned
			g.Expect(box.Client.Patch(ctx, changed, client.MergeFrom(node))).To(Succeed())
		}).WithContext(ctx).Should(Succeed())
	}
}

// expectBudget finds no minute with more evictions than there may be.
func expectBudget(evictions []call) {
	GinkgoHelper()
	for first, last := 0, 0; last < len(evictions); last++ {
		for evictions[last].At.Sub(evictions[first].At) > budgetWindow {
			first++
		}
		Expect(last-first+1).To(BeNumerically("<=", perMinute), "evictions in the minute before %s", evictions[last].At)
	}
}

// expectAllElsewhere waits until all pods run, none of them on the node.
func (s *scene) expectAllElsewhere(ctx context.Context, node string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(s.client.List(ctx, &pods, client.InNamespace(s.namespace))).To(Succeed())
		running := 0
		for i := range pods.Items {
			g.Expect(pods.Items[i].Spec.NodeName).NotTo(Equal(node))
			if pods.Items[i].Status.Phase == corev1.PodRunning && pods.Items[i].DeletionTimestamp == nil {
				running++
			}
		}
		g.Expect(running).To(Equal(manyPods + 1))
	}).WithContext(ctx).WithTimeout(manyPatience).WithPolling(20 * poll).Should(Succeed())
}
