// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/plugins/restoregate"
	"roost.dev/roost/test/simstorage/admin"
)

func inPlaceOf(name string) snapshotv1alpha1.SnapshotRestoreSpec {
	return snapshotv1alpha1.SnapshotRestoreSpec{Source: source(name), InPlace: &snapshotv1alpha1.InPlace{}}
}

// changeSet writes a change of a StatefulSet.
func (s *scene) changeSet(ctx context.Context, set *appsv1.StatefulSet, change func()) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(set), set)).To(Succeed())
		change()
		g.Expect(s.client.Update(ctx, set)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("A claim that is wanted twice", func() {
	It("is restored in place by one of two, and the other says who it is", func(ctx SpecContext) {
		s := newScene(ctx)
		set := s.database(ctx, "db", 1)
		s.write(ctx, "data-db-0", "old")
		s.readySnapshot(ctx, "before", "db")
		s.write(ctx, "data-db-0", "new")
		first, second := s.restore(ctx, "first", inPlaceOf("before")), s.restore(ctx, "second", inPlaceOf("before"))
		Eventually(func(g Gomega) {
			for _, restore := range []*snapshotv1alpha1.SnapshotRestore{first, second} {
				g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(restore), restore)).To(Succeed())
			}
			g.Expect([]snapshotv1alpha1.RestorePhase{first.Status.Phase, second.Status.Phase}).
				To(ConsistOf(snapshotv1alpha1.RestoreCompleted, snapshotv1alpha1.RestoreFailed), "%s\n%s", first.Status.Message, second.Status.Message)
			s.expectReleased(ctx, g, "db")
		}).WithContext(ctx).Should(Succeed())
		won, lost := first, second
		if first.Status.Phase == snapshotv1alpha1.RestoreFailed {
			won, lost = second, first
		}
		Expect(lost.Status.Message).To(ContainSubstring(won.Name))
		s.allRunning(ctx, "db", 1)
		s.expectReplicas(ctx, set, 1)
		s.expectContent(ctx, "data-db-0", "old")
	}, SpecTimeout(specTimeout))

	It("waits at the scheduler's gate while it is restored in place, and is used after", func(ctx SpecContext) {
		s := newScene(ctx)
		set := s.database(ctx, "db", 1)
		s.write(ctx, "data-db-0", "old")
		s.readySnapshot(ctx, "before", "db")
		s.write(ctx, "data-db-0", "new")
		Expect(box.Sim.SetSnapshots(ctx, admin.SnapshotFault{Delay: metav1.Duration{Duration: 4 * time.Second}})).To(Succeed())
		restore := s.restore(ctx, "back", inPlaceOf("before"))
		Eventually(func(g Gomega) { s.expectPhase(ctx, g, restore, snapshotv1alpha1.RestoreSecuring) }).WithContext(ctx).Should(Succeed())
		s.changeSet(ctx, set, func() { set.Spec.Replicas = ptr.To[int32](1) })

		By("looking at the pod that somebody made")
		pod := &corev1.Pod{ObjectMeta: s.meta("db-0")}
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			g.Expect(pod.Status.Phase).To(Equal(corev1.PodPending))
			g.Expect(pod.Spec.NodeName).To(BeEmpty())
		}).WithContext(ctx).Should(Succeed())
		Consistently(func(g Gomega) {
			s.expectPhase(ctx, g, restore, snapshotv1alpha1.RestoreSecuring)
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			g.Expect(pod.Spec.NodeName).To(BeEmpty(), "%s let it through", restoregate.Name)
		}).WithContext(ctx).WithTimeout(time.Second).Should(Succeed())

		s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		s.allRunning(ctx, "db", 1)
		s.expectContent(ctx, "data-db-0", "old")
	}, SpecTimeout(specTimeout))

	It("has its workload's autoscaler named", func(ctx SpecContext) {
		s := newScene(ctx)
		set := s.database(ctx, "db", 1)
		s.create(ctx, &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: s.meta("grows"), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db"},
			MinReplicas:    ptr.To[int32](1), MaxReplicas: 3,
		}})
		s.readySnapshot(ctx, "before", "db")
		restore := s.restore(ctx, "back", inPlaceOf("before"))
		s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		Expect(restore.Status.Workloads).To(HaveLen(1))
		Expect(restore.Status.Workloads[0].Owner).To(ContainSubstring("HorizontalPodAutoscaler grows"))
		s.expectReplicas(ctx, set, 1)
	}, SpecTimeout(specTimeout))

	It("is not touched where the StatefulSet would delete it when it is stopped", func(ctx SpecContext) {
		s := newScene(ctx)
		set := s.database(ctx, "db", 1)
		s.changeSet(ctx, set, func() {
			set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType, WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			}
		})
		s.readySnapshot(ctx, "before", "db")
		Expect(s.client.Get(ctx, client.ObjectKeyFromObject(set), set)).To(Succeed())
		generation, was := set.Generation, s.claim(ctx, Default, "data-db-0")
		restore := s.restore(ctx, "back", inPlaceOf("before"))
		s.restored(ctx, restore, snapshotv1alpha1.RestoreFailed)
		Expect(restore.Status.Message).To(And(ContainSubstring("whenScaled: Delete"), ContainSubstring("StatefulSet db")))
		Expect(s.client.Get(ctx, client.ObjectKeyFromObject(set), set)).To(Succeed())
		Expect(set.Generation).To(Equal(generation), "the StatefulSet was changed")
		Expect(s.claim(ctx, Default, "data-db-0").UID).To(Equal(was.UID))
		s.expectReleased(ctx, Default, "db")
	}, SpecTimeout(specTimeout))
})
