// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/test/simstorage/admin"
)

func mode(m snapshotv1alpha1.Mode) func(*snapshotv1alpha1.ApplicationSnapshotSpec) {
	return func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.Mode = m }
}

// stopsWriting is a hook that leaves a file beside the data while the application is frozen. The file is in what is cut then.
func stopsWriting(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
	spec.Hooks = &snapshotv1alpha1.Hooks{
		MaxFreeze: metav1.Duration{Duration: 20 * time.Second},
		Commands: []snapshotv1alpha1.Hook{{
			Name:   "quiesce",
			Freeze: []string{"sh", "-c", "echo frozen by $HOSTNAME > data/frozen && echo quiet now"},
			Thaw:   []string{"rm", "-f", "data/frozen"},
		}},
	}
}

var _ = Describe("An ApplicationSnapshot", func() {
	It("holds the application still with hooks while it is cut, and only then", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 2)
		snapshot := s.readySnapshot(ctx, "with-hooks", "db", stopsWriting)

		status := snapshot.Status
		Expect(status.Consistency).To(Equal(snapshotv1alpha1.ConsistencyApplication), status.Message)
		Expect(status.Ready).To(Equal("2/2"))
		Expect(meta.IsStatusConditionTrue(status.Conditions, snapshotv1alpha1.ConditionThawed)).To(BeTrue())
		Expect(status.Freeze.State).To(Equal(snapshotv1alpha1.Thawed))
		Expect(status.Freeze.Pods).To(HaveLen(2))
		Expect(status.Freeze.Pods[0].Output).To(ContainSubstring("quiet now"))
		for _, claim := range []string{"data-db-0", "data-db-1"} {
			Expect(s.content(ctx, Default, claim, "frozen")).To(BeEmpty(), "the application is not thawed")
		}

		By("restoring what was cut, which has the mark of the freeze")
		restore := s.restore(ctx, "look", snapshotv1alpha1.SnapshotRestoreSpec{
			Source: snapshotv1alpha1.SnapshotSource{Name: snapshot.Name}, NewClaims: &snapshotv1alpha1.NewClaims{Suffix: "-cut"},
		})
		s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
		s.use(ctx, "data-db-1-cut")
		Expect(s.content(ctx, Default, "data-db-1-cut", "frozen")).To(Equal("frozen by db-1\n"))
	}, SpecTimeout(specTimeout))

	DescribeTable("says what the contents are worth",
		func(ctx SpecContext, m snapshotv1alpha1.Mode, want snapshotv1alpha1.Consistency) {
			s := newScene(ctx)
			s.database(ctx, "db", 2)
			snapshot := s.readySnapshot(ctx, "plain", "db", mode(m))
			Expect(snapshot.Status.Consistency).To(Equal(want))
			Expect(snapshot.Status.Ready).To(Equal("2/2"))
			Expect(s.csiSnapshots(ctx, Default)).To(HaveLen(2))

			By("deleting it, which deletes what it made")
			Expect(s.client.Delete(ctx, snapshot)).To(Succeed())
			Eventually(func(g Gomega) { g.Expect(s.csiSnapshots(ctx, g)).To(BeEmpty()) }).WithContext(ctx).Should(Succeed())
			var claims corev1.PersistentVolumeClaimList
			Expect(s.client.List(ctx, &claims, client.InNamespace(s.namespace))).To(Succeed())
			for i := range claims.Items {
				Expect(claims.Items[i].Labels).To(Equal(map[string]string{"app": "db"}), "a mark was left on the claim")
			}
		},
		Entry("one after the other", SpecTimeout(specTimeout), snapshotv1alpha1.ModeSequential, snapshotv1alpha1.ConsistencyUnknown),
		Entry("all at one instant", SpecTimeout(specTimeout), snapshotv1alpha1.ModeGroup, snapshotv1alpha1.ConsistencyCrash),
		Entry("each by itself", SpecTimeout(specTimeout), snapshotv1alpha1.ModeBestEffort, snapshotv1alpha1.ConsistencyUnknown),
	)

	It("is thawed and leaves nothing behind when the storage system cannot cut", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		Expect(box.Sim.SetSnapshots(ctx, admin.SnapshotFault{Fail: true})).To(Succeed())
		snapshot := s.snapshot(ctx, "fails", "db", stopsWriting, func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
			spec.Hooks.MaxFreeze = metav1.Duration{Duration: 5 * time.Second}
		})
		s.inPhase(ctx, snapshot, snapshotv1alpha1.PhaseFailed)
		Expect(snapshot.Status.Freeze.State).To(Equal(snapshotv1alpha1.Thawed))
		Expect(snapshot.Status.Freeze.ThawTime.Sub(snapshot.Status.Freeze.StartTime.Time)).To(BeNumerically("<=", 6*time.Second))
		Expect(s.content(ctx, Default, "data-db-0", "frozen")).To(BeEmpty())
		Eventually(func(g Gomega) { g.Expect(s.csiSnapshots(ctx, g)).To(BeEmpty()) }).WithContext(ctx).Should(Succeed())
	}, SpecTimeout(specTimeout))

	It("thaws at the cut, and does not wait until the upload is done", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		Expect(box.Sim.SetSnapshots(ctx, admin.SnapshotFault{Delay: metav1.Duration{Duration: time.Hour}})).To(Succeed())
		snapshot := s.snapshot(ctx, "uploads", "db", stopsWriting)
		s.inPhase(ctx, snapshot, snapshotv1alpha1.PhaseUploading)
		Eventually(func(g Gomega) { // the cut is written before the thaw
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
			g.Expect(snapshot.Status.Freeze.State).To(Equal(snapshotv1alpha1.Thawed))
		}).WithContext(ctx).Should(Succeed())
		Expect(s.content(ctx, Default, "data-db-0", "frozen")).To(BeEmpty())
		Expect(meta.IsStatusConditionTrue(snapshot.Status.Conditions, snapshotv1alpha1.ConditionReady)).To(BeFalse())
	}, SpecTimeout(specTimeout))

	It("waits with its reason, and begins by itself once there is something to take", func(ctx SpecContext) {
		s := newScene(ctx)
		snapshot := s.snapshot(ctx, "early", "db")
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
			ready := meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionReady)
			g.Expect(ready).To(HaveValue(HaveField("Reason", "NoMatchingPVCs")))
		}).WithContext(ctx).Should(Succeed())
		s.database(ctx, "db", 1)
		s.inPhase(ctx, snapshot, snapshotv1alpha1.PhaseReady)
	}, SpecTimeout(specTimeout))
})

// use has a pod use a claim, and waits until it runs.
func (s *scene) use(ctx SpecContext, claim string) {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: s.meta("uses-" + claim), Spec: corev1.PodSpec{
		SchedulerName: "roost", TerminationGracePeriodSeconds: ptr.To[int64](1),
		Containers: []corev1.Container{{Name: "main", Image: "main", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")},
		}}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}},
	}}
	s.create(ctx, pod)
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning), "conditions %v", pod.Status.Conditions)
	}).WithContext(ctx).Should(Succeed())
}
