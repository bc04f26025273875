// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// made are the ApplicationSnapshots of a schedule.
func (s *scene) made(ctx context.Context, g Gomega, schedule *snapshotv1alpha1.SnapshotSchedule) []snapshotv1alpha1.ApplicationSnapshot {
	var list snapshotv1alpha1.ApplicationSnapshotList
	g.Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{snapshotv1alpha1.LabelSchedule: string(schedule.UID)})).
		To(Succeed())
	return list.Items
}

// runNow asks for a run, and waits until it is ready.
func (s *scene) runNow(ctx context.Context, schedule *snapshotv1alpha1.SnapshotSchedule, token string) {
	GinkgoHelper()
	key := client.ObjectKeyFromObject(schedule)
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, key, schedule)).To(Succeed())
		schedule.Spec.RunNow = token
		g.Expect(s.client.Update(ctx, schedule)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
	last := schedule.Status.LastSuccess
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, key, schedule)).To(Succeed())
		g.Expect(schedule.Status.LastRunNow).To(Equal(token))
		g.Expect(schedule.Status.LastSuccess).NotTo(Equal(last))
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("A SnapshotSchedule", func() {
	newSchedule := func(s *scene) *snapshotv1alpha1.SnapshotSchedule {
		return &snapshotv1alpha1.SnapshotSchedule{ObjectMeta: s.meta("yearly"), Spec: snapshotv1alpha1.SnapshotScheduleSpec{
			Schedule: "0 3 1 1 *", TimeZone: "Europe/Berlin",
			Template: snapshotv1alpha1.SnapshotTemplate{Spec: snapshotv1alpha1.ApplicationSnapshotSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			}},
			Retention: snapshotv1alpha1.Retention{Last: 1},
		}}
	}

	It("runs now when it is asked to, keeps what it should, and nothing of others is touched", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		foreign := s.readySnapshot(ctx, "by-hand", "db")
		schedule := newSchedule(s)
		s.create(ctx, schedule)
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(schedule), schedule)).To(Succeed())
			g.Expect(schedule.Status.NextRuns).To(HaveLen(3))
		}).WithContext(ctx).Should(Succeed())
		Expect(s.made(ctx, Default, schedule)).To(BeEmpty(), "it ran when it was made")

		s.runNow(ctx, schedule, "first")
		first := s.made(ctx, Default, schedule)[0]
		s.runNow(ctx, schedule, "second")
		Eventually(func(g Gomega) {
			left := s.made(ctx, g, schedule)
			g.Expect(left).To(HaveLen(1))
			g.Expect(left[0].UID).NotTo(Equal(first.UID))
		}).WithContext(ctx).Should(Succeed())
		Expect(s.client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.DeletionTimestamp).To(BeNil())

		By("deleting the schedule, which its snapshots outlive")
		Expect(s.client.Delete(ctx, schedule)).To(Succeed())
		Consistently(func(g Gomega) { g.Expect(s.made(ctx, g, schedule)).To(HaveLen(1)) }).WithContext(ctx).WithTimeout(patience / 20).Should(Succeed())
	}, SpecTimeout(specTimeout))

	It("says what is wrong with it, which the definition cannot", func(ctx SpecContext) {
		s := newScene(ctx)
		schedule := newSchedule(s)
		schedule.Spec.Schedule = "0 0 30 2 *"
		s.create(ctx, schedule)
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(schedule), schedule)).To(Succeed())
			scheduled := meta.FindStatusCondition(schedule.Status.Conditions, snapshotv1alpha1.ConditionScheduled)
			g.Expect(scheduled).To(HaveValue(HaveField("Status", metav1.ConditionFalse)))
			g.Expect(scheduled.Message).To(And(ContainSubstring("spec.schedule"), ContainSubstring("0 0 30 2 *")))
		}).WithContext(ctx).Should(Succeed())
	}, SpecTimeout(specTimeout))
})
