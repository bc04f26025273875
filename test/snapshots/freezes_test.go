// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/snapshot/taking"
	"roost.dev/roost/test/simstorage/admin"
)

const (
	// thawWithin is how long a manager that is told to end may take to thaw.
	thawWithin = 2 * time.Second
	// timerSlack is how long after maxFreeze the timer in a pod may take.
	timerSlack = 2 * time.Second
)

// maxFreeze has hooks that give up after that long.
func maxFreeze(limit time.Duration) func(*snapshotv1alpha1.ApplicationSnapshotSpec) {
	return func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
		spec.Hooks.MaxFreeze = metav1.Duration{Duration: limit}
	}
}

// slowCut has the storage system take that long to cut, until the end of the spec.
func slowCut(ctx context.Context, delay time.Duration) {
	GinkgoHelper()
	Expect(box.Sim.SetSnapshots(ctx, admin.SnapshotFault{CutDelay: metav1.Duration{Duration: delay}})).To(Succeed())
}

// freezeMark is the file that is there while the application that has a claim is frozen.
func (s *scene) freezeMark(ctx context.Context, claim string) string {
	GinkgoHelper()
	dir, err := s.box.VolumeDir(ctx, s.namespace, claim)
	Expect(err).NotTo(HaveOccurred())
	return filepath.Join(dir, "frozen")
}

// frozen makes a snapshot that cannot be cut soon, and waits until its application is frozen.
func (s *scene) frozen(ctx context.Context, limit time.Duration) (snapshot *snapshotv1alpha1.ApplicationSnapshot, mark string) {
	GinkgoHelper()
	mark = s.freezeMark(ctx, "data-db-0")
	snapshot = s.snapshot(ctx, "held", "db", stopsWriting, maxFreeze(limit))
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		g.Expect(snapshot.Status.Freeze).To(HaveValue(HaveField("State", snapshotv1alpha1.Frozen)), snapshot.Status.Message)
	}).WithContext(ctx).Should(Succeed())
	Expect(mark).To(BeAnExistingFile())
	Eventually(func(g Gomega) { g.Expect(s.csiSnapshots(ctx, g)).NotTo(BeEmpty()) }).WithContext(ctx).Should(Succeed())
	return snapshot, mark
}

// expectFailed waits until a snapshot has failed for that reason, and nothing is frozen or left of it.
func (s *scene) expectFailed(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		s.expectEnded(ctx, g, snapshot)
		g.Expect(snapshot.Status.Phase).To(Equal(snapshotv1alpha1.PhaseFailed))
		g.Expect(meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionReady)).
			To(HaveValue(HaveField("Reason", reason)), snapshot.Status.Message)
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("An application that is frozen", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		s.database(ctx, "db", 1)
	})

	It("is thawed at once by a manager that is told to end", func(ctx SpecContext) {
		slowCut(ctx, 5*time.Second)
		snapshot, mark := s.frozen(ctx, 20*time.Second)
		ended := make(chan struct{})
		managerStopped(func() {
			told := time.Now()
			go func() {
				defer close(ended)
				box.Manager.Stop()
			}()
			Eventually(mark).WithContext(ctx).WithTimeout(thawWithin).WithPolling(poll / 5).ShouldNot(BeAnExistingFile())
			AddReportEntry("from SIGTERM to the thaw", time.Since(told).String())
		})
		Eventually(ended).WithContext(ctx).Should(BeClosed())
		Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		AddReportEntry("the journal that it left", string(snapshot.Status.Phase)+", "+string(snapshot.Status.Freeze.State))
		slowCut(ctx, 0)
		startManager(ctx, sandbox.ManagerOptions{})
		s.expectFailed(ctx, snapshot, taking.ReasonInterrupted)
	}, SpecTimeout(specTimeout))

	It("thaws by itself at the cap when no manager is there", func(ctx SpecContext) {
		const limit = 3 * time.Second
		slowCut(ctx, 8*time.Second)
		snapshot, mark := s.frozen(ctx, limit)
		managerStopped(box.Manager.Kill)
		until := snapshot.Status.Freeze.StartTime.Add(limit + timerSlack)
		Eventually(mark).WithContext(ctx).WithTimeout(time.Until(until)).WithPolling(poll / 5).ShouldNot(BeAnExistingFile())
		AddReportEntry("frozen for", time.Since(snapshot.Status.Freeze.StartTime.Time).String())
		slowCut(ctx, 0)
		startManager(ctx, sandbox.ManagerOptions{})
		s.expectFailed(ctx, snapshot, taking.ReasonInterrupted)
	}, SpecTimeout(specTimeout))

	It("is thawed before its cap when the storage system does not cut", func(ctx SpecContext) {
		const limit = 3 * time.Second
		slowCut(ctx, 6*time.Second)
		snapshot, mark := s.frozen(ctx, limit)
		until := snapshot.Status.Freeze.StartTime.Add(limit)
		Eventually(mark).WithContext(ctx).WithTimeout(time.Until(until)).WithPolling(poll / 5).ShouldNot(BeAnExistingFile())
		slowCut(ctx, 0)
		s.expectFailed(ctx, snapshot, taking.ReasonCutDeadline)
	}, SpecTimeout(specTimeout))

	It("is thawed when its namespace is deleted, which goes", func(ctx SpecContext) {
		slowCut(ctx, 3*time.Second)
		snapshot, mark := s.frozen(ctx, 20*time.Second)
		Expect(s.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})).To(Succeed())
		Eventually(mark).WithContext(ctx).ShouldNot(BeAnExistingFile())
		slowCut(ctx, 0)
		Eventually(func() bool {
			return apierrors.IsNotFound(s.client.Get(ctx, client.ObjectKey{Name: s.namespace}, &corev1.Namespace{}))
		}).WithContext(ctx).WithTimeout(2*patience).Should(BeTrue(), "the namespace stays")
		Expect(apierrors.IsNotFound(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot))).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("is thawed when its freeze hangs, and no snapshot is made", func(ctx SpecContext) {
		snapshot := s.snapshot(ctx, "hangs", "db", stopsWriting, func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
			hook := &spec.Hooks.Commands[0]
			hook.Freeze = []string{"sh", "-c", "echo frozen > data/frozen; exec sleep 1000"}
			hook.Timeout = metav1.Duration{Duration: time.Second}
		})
		s.expectFailed(ctx, snapshot, taking.ReasonHookFailed)
		Expect(snapshot.Status.Message).To(And(ContainSubstring("quiesce"), ContainSubstring("db-0"), ContainSubstring("did not end within 1s")))
		Expect(box.Sim.Snapshots(ctx)).NotTo(ContainElement(HaveField("SourceHandle", s.handle(ctx, "data-db-0"))))
	}, SpecTimeout(specTimeout))

	It("is thawed when its freeze fails halfway", func(ctx SpecContext) {
		snapshot := s.snapshot(ctx, "halfway", "db", stopsWriting, func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
			spec.Hooks.Commands[0].Freeze = []string{"sh", "-c", "echo frozen > data/frozen; echo cannot lock >&2; exit 3"}
		})
		s.expectFailed(ctx, snapshot, taking.ReasonHookFailed)
		Expect(snapshot.Status.Message).To(And(ContainSubstring("exit code 3"), ContainSubstring("cannot lock")))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Hooks that cannot run", func() {
	It("say so where the manager may not run commands, and no snapshot is made", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		// Its log tells of what is forbidden, as that of the others must not. A manager that starts is given its rights anew.
		anotherManager(ctx, sandbox.ManagerOptions{Name: "roost-controller-manager-denied"})
		s.denyExec(ctx)
		began := time.Now()
		snapshot := s.snapshot(ctx, "denied", "db", stopsWriting)
		s.expectFailed(ctx, snapshot, taking.ReasonHookFailed)
		Expect(snapshot.Status.Message).To(And(ContainSubstring("forbidden"), ContainSubstring("pods/exec")))
		AddReportEntry("took", time.Since(began).String())
	}, SpecTimeout(specTimeout))

	It("wait with the container's name that is not there, and freeze nothing", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 1)
		snapshot := s.snapshot(ctx, "nowhere", "db", stopsWriting, func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) {
			spec.Hooks.Commands[0].Container = "sidecar"
			spec.CutDeadline = metav1.Duration{Duration: 6 * time.Second}
		})
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
			g.Expect(snapshot.Status.Message).To(ContainSubstring("sidecar"))
		}).WithContext(ctx).Should(Succeed())
		s.expectFailed(ctx, snapshot, taking.ReasonHooks)
		Expect(snapshot.Status.Freeze).To(BeNil())
	}, SpecTimeout(specTimeout))
})

// denyExec takes the manager's right to run commands in pods away, until the end of the spec.
func (s *scene) denyExec(ctx context.Context) {
	GinkgoHelper()
	binding := &rbacv1.ClusterRoleBinding{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: "roost-controller-manager-hooks"}, binding)).To(Succeed())
	Expect(s.client.Delete(ctx, binding)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		binding.ResourceVersion, binding.UID = "", ""
		Expect(s.client.Create(ctx, binding)).To(Succeed())
	}, NodeTimeout(patience))
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:roost-system:roost-controller-manager",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: s.namespace, Verb: "create", Resource: "pods", Subresource: "exec"},
		}}
		g.Expect(s.client.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeFalse())
	}).WithContext(ctx).Should(Succeed())
}

// handle is the storage system's name of a claim's volume.
func (s *scene) handle(ctx context.Context, claim string) string {
	GinkgoHelper()
	volume := &corev1.PersistentVolume{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: s.claim(ctx, Default, claim).Spec.VolumeName}, volume)).To(Succeed())
	return volume.Spec.CSI.VolumeHandle
}
