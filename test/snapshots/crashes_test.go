// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// rollbackStep is how many writes lie between those of a rollback that a manager is killed after: a restore comes before each.
const rollbackStep = 4

var _ = Describe("A manager that is killed after any of its writes", func() {
	var s *scene
	var through *proxy
	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		through = managerThrough(ctx)
	})

	It("leaves nothing frozen, and at most one set of VolumeSnapshots", func(ctx SpecContext) {
		s.database(ctx, "db", 1)
		var snapshot *snapshotv1alpha1.ApplicationSnapshot
		ready := 0
		through.survives(ctx, 1, 1, round{
			begin: func(n int) { snapshot = s.snapshot(ctx, fmt.Sprint("hooks-", n), "db", stopsWriting) },
			done:  func(g Gomega) { s.expectEnded(ctx, g, snapshot) },
			check: func(int) {
				if snapshot.Status.Phase == snapshotv1alpha1.PhaseReady {
					Expect(snapshot.Status.Consistency).To(Equal(snapshotv1alpha1.ConsistencyApplication), snapshot.Status.Message)
					ready++
				}
				s.allRunning(ctx, "db", 1)
				s.remove(ctx, snapshot)
			},
		})
		Expect(ready).To(BeNumerically(">", 1), "a crash before the freeze or after the cut fails nothing")
	}, SpecTimeout(2*specTimeout))

	It("leaves one group, and no label on the claims", func(ctx SpecContext) {
		s.database(ctx, "db", 2)
		var snapshot *snapshotv1alpha1.ApplicationSnapshot
		through.survives(ctx, oneOf(3), 3, round{
			begin: func(n int) {
				snapshot = s.snapshot(ctx, fmt.Sprint("group-", n), "db", mode(snapshotv1alpha1.ModeGroup))
			},
			done: func(g Gomega) {
				s.expectEnded(ctx, g, snapshot)
				g.Expect(snapshot.Status.Phase).To(Equal(snapshotv1alpha1.PhaseReady), snapshot.Status.Message)
				for _, claim := range s.claims(ctx, g) {
					g.Expect(claim.Labels).To(Equal(map[string]string{"app": "db"}))
				}
			},
			check: func(int) {
				var groups groupsnapshotv1.VolumeGroupSnapshotList
				Expect(s.client.List(ctx, &groups, client.InNamespace(s.namespace))).To(Succeed())
				Expect(groups.Items).To(HaveLen(1))
				Expect(snapshot.Status.Consistency).To(Equal(snapshotv1alpha1.ConsistencyCrash))
				s.remove(ctx, snapshot)
			},
		})
	}, SpecTimeout(2*specTimeout))

	It("makes every claim of a restore once", func(ctx SpecContext) {
		s.database(ctx, "db", 2)
		s.write(ctx, "data-db-1", "kept")
		s.readySnapshot(ctx, "before", "db")
		restores, had := 0, len(s.claims(ctx, Default))
		var restore *snapshotv1alpha1.SnapshotRestore
		through.survives(ctx, 1, 1, round{
			begin: func(n int) {
				restores++
				restore = s.restore(ctx, fmt.Sprint("copy-", n), snapshotv1alpha1.SnapshotRestoreSpec{
					Source: source("before"), NewClaims: &snapshotv1alpha1.NewClaims{Suffix: fmt.Sprint("-", n)},
				})
			},
			done: func(g Gomega) { s.expectPhase(ctx, g, restore, snapshotv1alpha1.RestoreCompleted) },
			check: func(n int) {
				Expect(s.claims(ctx, Default)).To(HaveLen(had + 2*restores))
				if n == 2 {
					s.use(ctx, "data-db-1-2")
					s.expectContent(ctx, "data-db-1-2", "kept")
				}
			},
		})
	}, SpecTimeout(specTimeout))

	It("restores in place, and loses neither content", func(ctx SpecContext) {
		set := s.database(ctx, "db", 1)
		s.write(ctx, "data-db-0", "old")
		s.readySnapshot(ctx, "before", "db")
		var restore *snapshotv1alpha1.SnapshotRestore
		var was *corev1.PersistentVolumeClaim
		through.survives(ctx, 1, 1, round{
			begin: func(n int) {
				s.write(ctx, "data-db-0", fmt.Sprint("new ", n))
				was = s.claim(ctx, Default, "data-db-0")
				restore = s.restore(ctx, fmt.Sprint("back-", n), snapshotv1alpha1.SnapshotRestoreSpec{Source: source("before"), InPlace: &snapshotv1alpha1.InPlace{}})
			},
			done: func(g Gomega) {
				s.expectPhase(ctx, g, restore, snapshotv1alpha1.RestoreCompleted)
				s.expectReleased(ctx, g, "db")
			},
			check: func(n int) {
				s.allRunning(ctx, "db", 1)
				s.expectReplicas(ctx, set, 1)
				s.expectSameBut(ctx, was)
				s.expectContent(ctx, "data-db-0", "old")
				s.expectKept(ctx, was.Spec.VolumeName)
				Expect(s.contentOfVolume(ctx, was.Spec.VolumeName)).To(Equal(fmt.Sprint("new ", n)))
				s.expectOneSafetySnapshot(ctx, restore)
			},
		})
	}, SpecTimeout(3*specTimeout))

	It("rolls back, and loses neither content", func(ctx SpecContext) {
		set := s.database(ctx, "db", 1)
		s.write(ctx, "data-db-0", "old")
		s.readySnapshot(ctx, "before", "db")
		var restore *snapshotv1alpha1.SnapshotRestore
		var was *corev1.PersistentVolumeClaim
		begin := func(n int) {
			s.write(ctx, "data-db-0", fmt.Sprint("new ", n))
			was = s.claim(ctx, Default, "data-db-0")
			restore = s.restore(ctx, fmt.Sprint("back-", n), snapshotv1alpha1.SnapshotRestoreSpec{
				Source: source("before"), InPlace: &snapshotv1alpha1.InPlace{SafetySnapshot: snapshotv1alpha1.SafetySnapshotNone},
			})
			s.restored(ctx, restore, snapshotv1alpha1.RestoreCompleted)
			s.allRunning(ctx, "db", 1)
			s.write(ctx, "data-db-0", fmt.Sprint("since ", n))
		}
		first := oneOf(rollbackStep)
		for n := first; ; n += rollbackStep {
			begin(n)
			replaced := s.claim(ctx, Default, "data-db-0").Spec.VolumeName
			killed := through.survivesOne(ctx, n, round{
				begin: func(int) { s.changeRestore(ctx, restore, func() { restore.Spec.Rollback = true }) },
				done: func(g Gomega) {
					s.expectPhase(ctx, g, restore, snapshotv1alpha1.RestoreRolledBack)
					s.expectReleased(ctx, g, "db")
				},
				check: func(n int) {
					s.allRunning(ctx, "db", 1)
					s.expectReplicas(ctx, set, 1)
					s.expectContent(ctx, "data-db-0", fmt.Sprint("new ", n))
					Expect(s.claim(ctx, Default, "data-db-0").Spec.VolumeName).To(Equal(was.Spec.VolumeName))
					s.expectKept(ctx, replaced)
					Expect(s.contentOfVolume(ctx, replaced)).To(Equal(fmt.Sprint("since ", n)))
				},
			})
			if !killed {
				Expect(n).To(BeNumerically(">", first), "nothing was written")
				AddReportEntry("writes, about", fmt.Sprint(n-rollbackStep))
				return
			}
		}
	}, SpecTimeout(3*specTimeout))
})

// expectEnded finds that a snapshot is at its end, with nothing frozen and nothing too much.
func (s *scene) expectEnded(ctx context.Context, g Gomega, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
	g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
	status := &snapshot.Status
	g.Expect(status.Phase).To(BeElementOf(snapshotv1alpha1.PhaseReady, snapshotv1alpha1.PhaseFailed), status.Message)
	if status.Freeze != nil {
		g.Expect(status.Freeze.State).To(Equal(snapshotv1alpha1.Thawed))
	}
	g.Expect(snapshot.Finalizers).To(BeEmpty())
	for i := range status.Members {
		g.Expect(s.content(ctx, g, status.Members[i].ClaimName, "frozen")).To(BeEmpty(), "the application is frozen")
	}
	want := 0
	if status.Phase == snapshotv1alpha1.PhaseReady {
		want = len(status.Members)
	}
	// The external-snapshotter may take a minute to let go of one whose cut was under way.
	there := slices.DeleteFunc(s.csiSnapshots(ctx, g), func(one snapshotv1.VolumeSnapshot) bool { return one.DeletionTimestamp != nil })
	g.Expect(there).To(HaveLen(want))
}

// remove deletes a snapshot and waits until nothing of it is left.
func (s *scene) remove(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) {
	GinkgoHelper()
	Expect(s.client.Delete(ctx, snapshot)).To(Succeed())
	Eventually(func(g Gomega) { g.Expect(s.csiSnapshots(ctx, g)).To(BeEmpty()) }).WithContext(ctx).Should(Succeed())
}

func (s *scene) claims(ctx context.Context, g Gomega) []corev1.PersistentVolumeClaim {
	var list corev1.PersistentVolumeClaimList
	g.Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	return list.Items
}

func (s *scene) expectPhase(ctx context.Context, g Gomega, restore *snapshotv1alpha1.SnapshotRestore, phase snapshotv1alpha1.RestorePhase) {
	g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(restore), restore)).To(Succeed())
	g.Expect(restore.Status.Phase).To(Equal(phase), restore.Status.Message)
}
