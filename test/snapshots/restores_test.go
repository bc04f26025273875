// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

func source(name string) snapshotv1alpha1.SnapshotSource {
	return snapshotv1alpha1.SnapshotSource{Name: name}
}

func (s *scene) claim(ctx context.Context, g Gomega, name string) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{}
	g.Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, claim)).To(Succeed())
	return claim
}

var _ = Describe("A SnapshotRestore into new claims", func() {
	It("feeds another StatefulSet, and leaves the first one alone", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 2)
		s.write(ctx, "data-db-0", "zero")
		s.write(ctx, "data-db-1", "one")
		s.readySnapshot(ctx, "before", "db")
		s.write(ctx, "data-db-0", "changed")
		restore := s.restore(ctx, "second", snapshotv1alpha1.SnapshotRestoreSpec{
			Source:    source("before"),
			NewClaims: &snapshotv1alpha1.NewClaims{ReplaceName: &snapshotv1alpha1.ReplaceName{StatefulSet: "db", With: "db2"}},
		})
		s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		before := s.claim(ctx, Default, "data-db2-0").UID
		s.database(ctx, "db2", 2)
		Expect(s.claim(ctx, Default, "data-db2-0").UID).To(Equal(before), "the StatefulSet made a claim of its own")
		s.expectContent(ctx, "data-db2-0", "zero")
		s.expectContent(ctx, "data-db2-1", "one")
		s.expectContent(ctx, "data-db-0", "changed")
	}, SpecTimeout(specTimeout))

	It("writes over nothing", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		s.write(ctx, "data-db-0", "precious")
		s.readySnapshot(ctx, "before", "db")
		was := s.claim(ctx, Default, "data-db-0")
		restore := s.restore(ctx, "over", snapshotv1alpha1.SnapshotRestoreSpec{
			Source:    source("before"),
			NewClaims: &snapshotv1alpha1.NewClaims{Claims: []snapshotv1alpha1.NewClaim{{From: "data-db-0", To: "data-db-0"}}},
		})
		s.restored(ctx, restore, snapshotv1alpha1.RestoreFailed)
		Expect(restore.Status.Message).To(ContainSubstring("data-db-0"))
		is := s.claim(ctx, Default, "data-db-0")
		Expect(is.UID).To(Equal(was.UID))
		Expect(is.Spec.VolumeName).To(Equal(was.Spec.VolumeName))
	}, SpecTimeout(specTimeout))

	It("reads a snapshot of another namespace by its consent, and never owns it", func(ctx SpecContext) {
		production, staging := newScene(ctx), newScene(ctx)
		production.database(ctx, "db", 1)
		production.write(ctx, "data-db-0", "for all")
		snapshot := production.readySnapshot(ctx, "shared", "db")
		spec := snapshotv1alpha1.SnapshotRestoreSpec{
			Source:    snapshotv1alpha1.SnapshotSource{Name: "shared", Namespace: production.namespace},
			NewClaims: &snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		}
		refused := staging.restore(ctx, "refused", spec)
		Eventually(func(g Gomega) {
			g.Expect(staging.client.Get(ctx, client.ObjectKeyFromObject(refused), refused)).To(Succeed())
			g.Expect(refused.Status.Message).To(ContainSubstring("allowedNamespaces"))
		}).WithContext(ctx).Should(Succeed())
		Expect(staging.csiSnapshots(ctx, Default)).To(BeEmpty())
		Expect(staging.client.Delete(ctx, refused)).To(Succeed())

		Expect(production.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		snapshot.Spec.AllowedNamespaces = []string{staging.namespace}
		Expect(production.client.Update(ctx, snapshot)).To(Succeed())
		restore := staging.restore(ctx, "granted", spec)
		staging.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		staging.use(ctx, "data-db-0-copy")
		staging.expectContent(ctx, "data-db-0-copy", "for all")

		By("removing what the snapshot was read through, and not the snapshot")
		Eventually(func(g Gomega) { g.Expect(staging.csiSnapshots(ctx, g)).To(BeEmpty()) }).WithContext(ctx).Should(Succeed())
		taken, err := box.Sim.Snapshots(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(taken).NotTo(BeEmpty())
		Expect(production.csiSnapshots(ctx, Default)).To(HaveLen(1))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A SnapshotRestore in place", func() {
	It("brings the old content back under the same names, and the new one again on rollback", func(ctx SpecContext) {
		s := newScene(ctx)
		set := s.database(ctx, "db", 2)
		s.write(ctx, "data-db-0", "old 0")
		s.write(ctx, "data-db-1", "old 1")
		s.readySnapshot(ctx, "before", "db")
		s.write(ctx, "data-db-0", "new 0")
		s.write(ctx, "data-db-1", "new 1")
		was := s.claim(ctx, Default, "data-db-0")

		restore := s.restore(ctx, "back", snapshotv1alpha1.SnapshotRestoreSpec{Source: source("before"), InPlace: &snapshotv1alpha1.InPlace{}})
		s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		Expect(meta.IsStatusConditionTrue(restore.Status.Conditions, snapshotv1alpha1.ConditionUndoable)).To(BeTrue())
		s.allRunning(ctx, "db", 2)
		s.expectContent(ctx, "data-db-0", "old 0")
		s.expectContent(ctx, "data-db-1", "old 1")
		is := s.claim(ctx, Default, "data-db-0")
		Expect(is.Spec.VolumeName).NotTo(Equal(was.Spec.VolumeName))
		Expect(is.Labels).To(Equal(was.Labels))
		Expect(is.OwnerReferences).To(Equal(was.OwnerReferences))
		Expect(is.Annotations).NotTo(HaveKey(snapshotv1alpha1.AnnotationRestoring))
		s.expectKept(ctx, was.Spec.VolumeName)
		s.expectReplicas(ctx, set, 2)
		safety := &snapshotv1alpha1.ApplicationSnapshot{}
		Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: restore.Status.SafetySnapshotName}, safety)).To(Succeed())
		Expect(safety.Status.Phase).To(Equal(snapshotv1alpha1.PhaseReady))

		By("rolling back")
		s.changeRestore(ctx, restore, func() { restore.Spec.Rollback = true })
		s.restored(ctx, restore, snapshotv1alpha1.RestoreRolledBack)
		s.allRunning(ctx, "db", 2)
		s.expectContent(ctx, "data-db-0", "new 0")
		s.expectContent(ctx, "data-db-1", "new 1")
		Expect(s.claim(ctx, Default, "data-db-0").Spec.VolumeName).To(Equal(was.Spec.VolumeName))
		s.expectReplicas(ctx, set, 2)
	}, SpecTimeout(2*specTimeout))

	It("gives the old volumes up when that is confirmed", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		s.write(ctx, "data-db-0", "old")
		s.readySnapshot(ctx, "before", "db")
		s.write(ctx, "data-db-0", "new")
		was := s.claim(ctx, Default, "data-db-0").Spec.VolumeName
		restore := s.restore(ctx, "back", snapshotv1alpha1.SnapshotRestoreSpec{Source: source("before"), InPlace: &snapshotv1alpha1.InPlace{}})
		s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		s.expectKept(ctx, was)
		s.changeRestore(ctx, restore, func() { restore.Spec.Confirm = true })
		Eventually(func(g Gomega) {
			err := s.client.Get(ctx, client.ObjectKey{Name: was}, &corev1.PersistentVolume{})
			g.Expect(client.IgnoreNotFound(err)).To(Succeed())
			g.Expect(err).To(HaveOccurred(), "the old volume is still there")
		}).WithContext(ctx).Should(Succeed())
		s.expectContent(ctx, "data-db-0", "old")
	}, SpecTimeout(specTimeout))

	It("stops nothing that it could not start again", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		s.readySnapshot(ctx, "before", "db")
		s.use(ctx, "data-db-0") // a pod without a controller
		restore := s.restore(ctx, "back", snapshotv1alpha1.SnapshotRestoreSpec{Source: source("before"), InPlace: &snapshotv1alpha1.InPlace{}})
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(restore), restore)).To(Succeed())
			g.Expect(restore.Status.Message).To(ContainSubstring("uses-data-db-0"))
		}).WithContext(ctx).Should(Succeed())
		s.allRunning(ctx, "db", 1)
	}, SpecTimeout(specTimeout))
})

// expectKept finds that a volume that no claim has any more stays whatever happens.
func (s *scene) expectKept(ctx context.Context, name string) {
	GinkgoHelper()
	volume := &corev1.PersistentVolume{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: name}, volume)).To(Succeed())
	Expect(volume.Spec.PersistentVolumeReclaimPolicy).To(Equal(corev1.PersistentVolumeReclaimRetain))
	Expect(volume.Status.Phase).To(Equal(corev1.VolumeReleased))
}

func (s *scene) expectReplicas(ctx context.Context, set *appsv1.StatefulSet, want int32) {
	GinkgoHelper()
	Expect(s.client.Get(ctx, client.ObjectKeyFromObject(set), set)).To(Succeed())
	Expect(set.Spec.Replicas).To(HaveValue(Equal(want)))
}

// changeRestore writes a change of a restore's spec.
func (s *scene) changeRestore(ctx context.Context, restore *snapshotv1alpha1.SnapshotRestore, change func()) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(restore), restore)).To(Succeed())
		change()
		g.Expect(s.client.Update(ctx, restore)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
}
