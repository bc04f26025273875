// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
	"roost.dev/roost/test/simstorage/publish"
)

var _ = Describe("A brake", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("holds while half of the nodes are bad, says so, and releases by itself", func(ctx SpecContext) {
		pod := s.together(ctx, sandbox.NodeName(0), map[string][]setOption{"db": nil})["db"]
		sick := pod.Spec.NodeName
		bad := []string{sick}
		for i := 1; len(bad) < nodeCount/2; i++ {
			// The other copy stays well: without one the pod would stay for that reason.
			if node := sandbox.NodeName(i); !slices.Contains(s.dataNodes(ctx, pod), node) {
				bad = append(bad, node)
			}
		}
		for _, node := range bad {
			failStorage(ctx, node)
		}
		text := "6 nodes of " + sandbox.Provisioner + " are bad, of 12"
		Expect(expectBraked(ctx, sick, verdict.ReasonTooManyBadNodes)).To(ContainSubstring(text))
		expectLeft(ctx, pod, failover.Braked)
		expectNote(ctx, metav1.NamespaceDefault, sandbox.Provisioner+"."+sick, storagehealth.EventBraked, text)
		Expect(metrics(ctx, Default)).To(ContainSubstring(
			`roost_storagehealth_braked{brake="TooManyBadNodes",provisioner="` + sandbox.Provisioner + `"} 1`))
		s.expectStays(ctx, pod, threeLooks)

		for _, node := range bad[1:] {
			Expect(box.Sim.SetNodeState(ctx, node, storagev1alpha1.StorageOnline, "")).To(Succeed())
		}
		s.expectMoves(ctx, pod)
		expectEvent(ctx, metav1.NamespaceDefault, sandbox.Provisioner+"."+sick, storagehealth.EventReleased)
		expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
		Expect(metrics(ctx, Default)).NotTo(ContainSubstring("roost_storagehealth_braked{"))
	}, SpecTimeout(specTimeout))

	It("that an operator holds stops one driver, until he lets go; pods do not go back", func(ctx SpecContext) {
		pod := s.together(ctx, sandbox.NodeName(10), map[string][]setOption{"db": nil})["db"]
		sick := pod.Spec.NodeName
		driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: sandbox.Provisioner}}
		resume := func(ctx context.Context) {
			s.change(ctx, driver, func() { delete(driver.Annotations, candidates.Annotation) })
		}
		DeferCleanup(func(ctx SpecContext) { resume(ctx) }, NodeTimeout(patience))
		s.setFailover(ctx, driver, "Disabled")
		failStorage(ctx, sick)
		Expect(expectBraked(ctx, sick, storagehealth.Paused)).To(ContainSubstring("CSIDriver " + sandbox.Provisioner))
		s.expectStays(ctx, pod, threeLooks)
		resume(ctx)
		moved := s.expectMoves(ctx, pod)

		mendAll(ctx)
		expectState(ctx, sick, storagev1alpha1.HealthHealthy)
		s.expectStays(ctx, moved, threeLooks)
	}, SpecTimeout(specTimeout))

	It("holds while the storage system is silent, also on a node that had failed before", func(ctx SpecContext) {
		failed := s.together(ctx, sandbox.NodeName(5), map[string][]setOption{"failed": {annotated("Disabled")}})["failed"]
		fails := s.together(ctx, sandbox.NodeName(11), map[string][]setOption{"fails": nil})["fails"]
		for _, pod := range []*corev1.Pod{failed, fails} { // the other copy of each may be on the other's node
			Expect(box.Sim.SetReplicaState(ctx, s.volume(ctx, pod).Spec.CSI.VolumeHandle, sandbox.NodeName(0), storagev1alpha1.ReplicaInSync)).To(Succeed())
		}
		failStorage(ctx, failed.Spec.NodeName)
		expectLeft(ctx, failed, candidates.FailoverDisabled)

		By("taking the storage API and its publisher away")
		Expect(box.Sim.SetAPI(ctx, true, 0)).To(Succeed())
		Expect(box.Sim.SetPublisher(ctx, true)).To(Succeed())
		failStorage(ctx, fails.Spec.NodeName)
		s.expectStays(ctx, fails, specPause)
		By("being silent for so long that the last report is too old")
		// Those of the other nodes still count, so that all is known of the volumes and nothing else keeps the pods.
		ageReport(ctx, failed.Spec.NodeName)
		ageReport(ctx, fails.Spec.NodeName)
		replaceManager(ctx, quick) // one that has not seen the reports come believes their age
		expectSilent(ctx, failed.Spec.NodeName, fails.Spec.NodeName)
		expectEvent(ctx, metav1.NamespaceDefault, sandbox.Provisioner+"."+fails.Spec.NodeName, storagehealth.EventSilent)
		s.setFailover(ctx, failed, "Enabled")
		expectBraked(ctx, failed.Spec.NodeName, verdict.ReasonStorageSilent)
		s.expectAllStay(ctx, threeLooks, failed, fails)
		expectState(ctx, fails.Spec.NodeName, storagev1alpha1.HealthHealthy)

		By("being silent of every node")
		var all []string
		for i := range nodeCount {
			all = append(all, sandbox.NodeName(i))
			ageReport(ctx, all[i])
		}
		replaceManager(ctx, quick)
		expectSilent(ctx, all...)
		Expect(counted(ctx)).To(HaveKeyWithValue(`roost_storagehealth_silent_nodes{provisioner="`+sandbox.Provisioner+`"}`, float64(nodeCount)))
		expectBraked(ctx, failed.Spec.NodeName, verdict.ReasonStorageSilent)
		s.expectAllStay(ctx, silentFor, failed, fails)
		expectState(ctx, fails.Spec.NodeName, storagev1alpha1.HealthHealthy)

		By("speaking again")
		Expect(box.Sim.SetAPI(ctx, false, 0)).To(Succeed())
		Expect(box.Sim.SetPublisher(ctx, false)).To(Succeed())
		s.expectMoves(ctx, failed)
		s.expectMoves(ctx, fails)
	}, SpecTimeout(specTimeout))
})

// expectSilent waits until the manager has noticed that nothing is said of the nodes.
func expectSilent(ctx context.Context, nodes ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for _, node := range nodes {
			status, reason, _ := condition(storageNode(ctx, g, node).Status.Conditions, storagev1alpha1.ConditionReporting)
			g.Expect(status).To(Equal(metav1.ConditionFalse), "%s: %s", node, reason)
		}
	}).WithContext(ctx).Should(Succeed())
}

// silentFor is how long it is watched that nothing moves while nothing is said of any node: ten times what the manager takes
// to act on a node that is Offline.
const silentFor = 20 * time.Second

// silence is longer than the published driver believes a report.
const silence = 3 * time.Minute

// ageReport has the report of a node be as old as if the storage system had been silent since.
func ageReport(ctx context.Context, node string) {
	GinkgoHelper()
	report := &storagev1alpha1.StorageReport{}
	Expect(box.Client.Get(ctx, client.ObjectKey{Name: publish.ObjectName(node)}, report)).To(Succeed())
	last := report.DeepCopy()
	report.Status.HeartbeatTime = metav1.NewMicroTime(last.Status.HeartbeatTime.Add(-silence))
	Expect(box.Client.Status().Patch(ctx, report, client.MergeFrom(last))).To(Succeed())
}
