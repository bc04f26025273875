// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/test/simstorage/admin"
)

var _ = Describe("A storage system that says what is not so", func() {
	DescribeTable("is believed no more than it should be, and its snapshots can be restored",
		func(ctx SpecContext, fault admin.SnapshotFault, want snapshotv1alpha1.Consistency) {
			s := newScene(ctx)
			s.database(ctx, "db", 2)
			s.write(ctx, "data-db-1", "kept")
			Expect(box.Sim.SetSnapshots(ctx, fault)).To(Succeed())
			snapshot := s.readySnapshot(ctx, "told", "db", stopsWriting)
			Expect(snapshot.Status.Consistency).To(Equal(want), snapshot.Status.Message)
			restore := s.restore(ctx, "look", snapshotv1alpha1.SnapshotRestoreSpec{Source: source("told"), NewClaims: &snapshotv1alpha1.NewClaims{Suffix: "-cut"}})
			s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
			s.use(ctx, "data-db-1-cut")
			s.expectContent(ctx, "data-db-1-cut", "kept")
		},
		Entry("its clock is an hour ahead", SpecTimeout(specTimeout), admin.SnapshotFault{Skew: metav1.Duration{Duration: time.Hour}}, snapshotv1alpha1.ConsistencyApplication),
		Entry("it gives a time before the freeze", SpecTimeout(specTimeout), admin.SnapshotFault{Skew: metav1.Duration{Duration: -time.Hour}}, snapshotv1alpha1.ConsistencyUnknown),
		Entry("it does not say how large a snapshot is", SpecTimeout(specTimeout), admin.SnapshotFault{NoSize: true}, snapshotv1alpha1.ConsistencyApplication),
	)

	It("is given up when it cuts one claim of two, and nothing of that is left", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 2)
		Expect(box.Sim.SetSnapshots(ctx, admin.SnapshotFault{Fail: true, Volumes: []string{s.handle(ctx, "data-db-1")}})).To(Succeed())
		snapshot := s.snapshot(ctx, "half", "db", stopsWriting, maxFreeze(3*time.Second))
		s.inPhase(ctx, snapshot, snapshotv1alpha1.PhaseFailed)
		Expect(snapshot.Status.Message).To(ContainSubstring("data-db-1"))
		Eventually(func(g Gomega) { s.expectEnded(ctx, g, snapshot) }).WithContext(ctx).Should(Succeed())
	}, SpecTimeout(specTimeout))
})
