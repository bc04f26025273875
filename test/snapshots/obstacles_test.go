// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"path/filepath"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/snapshot/preflight"
)

// expectNotReady waits until a snapshot says for what reason it is not ready.
func (s *scene) expectNotReady(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		g.Expect(meta.FindStatusCondition(snapshot.Status.Conditions, snapshotv1alpha1.ConditionReady)).
			To(HaveValue(HaveField("Reason", reason)), snapshot.Status.Message)
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("A snapshot that cannot begin", func() {
	It("makes nothing while a quota has no room for the whole, and begins when it has", func(ctx SpecContext) {
		s := newScene(ctx)
		s.database(ctx, "db", 2)
		const counted corev1.ResourceName = "count/volumesnapshots.snapshot.storage.k8s.io"
		quota := &corev1.ResourceQuota{ObjectMeta: s.meta("few"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: resource.MustParse("1")}}}
		s.create(ctx, quota)
		Eventually(func(g Gomega) {
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(quota), quota)).To(Succeed())
			g.Expect(quota.Status.Hard).To(HaveKey(counted))
		}).WithContext(ctx).Should(Succeed())
		snapshot := s.snapshot(ctx, "tight", "db", stopsWriting)
		s.expectNotReady(ctx, snapshot, preflight.ReasonQuotaExceeded)
		Expect(snapshot.Status.Message).To(ContainSubstring("few"))
		Expect(snapshot.Status.Freeze).To(BeNil(), "it froze the application for nothing")
		Expect(s.csiSnapshots(ctx, Default)).To(BeEmpty())

		quota.Spec.Hard[counted] = resource.MustParse("2")
		Expect(s.client.Update(ctx, quota)).To(Succeed())
		s.inPhase(ctx, snapshot, snapshotv1alpha1.PhaseReady)
	}, SpecTimeout(specTimeout))

	It("says that the CSI snapshot kinds are missing, and begins when they are there", func(ctx SpecContext) {
		bare := startSandbox(ctx, sandbox.Options{Without: sets.New(
			sandbox.StockScheduler, sandbox.RoostScheduler, sandbox.Kwok, sandbox.Storage, sandbox.Sidecars,
		)})
		s := newSceneIn(ctx, bare)
		s.boundClaim(ctx, "data")
		snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: s.meta("early"), Spec: snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: []string{"data"}}}
		s.create(ctx, snapshot)
		s.expectNotReady(ctx, snapshot, preflight.ReasonCRDsMissing)

		By("installing them")
		bin, err := sandbox.RepositoryBin()
		Expect(err).NotTo(HaveOccurred())
		_, err = envtest.InstallCRDs(bare.Config, envtest.CRDInstallOptions{
			Paths: []string{filepath.Join(bin, "k8s", "crds")}, Scheme: bare.Client.Scheme(), MaxTime: time.Minute, PollInterval: poll,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(s.client.Create(ctx, &snapshotv1.VolumeSnapshotClass{
			ObjectMeta: metav1.ObjectMeta{Name: "sim", Annotations: map[string]string{"snapshot.storage.kubernetes.io/is-default-class": "true"}},
			Driver:     sandbox.Provisioner, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
		})).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(s.csiSnapshots(ctx, g)).To(ConsistOf(HaveField("Spec.Source.PersistentVolumeClaimName", HaveValue(Equal("data")))))
		}).WithContext(ctx).WithTimeout(2 * patience).Should(Succeed())
		Expect(bare.Err()).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout+startTimeout))
})

// boundClaim makes a claim and the volume that it has, without a storage system.
func (s *scene) boundClaim(ctx context.Context, name string) {
	GinkgoHelper()
	capacity, modes := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	Expect(s.client.Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: capacity, AccessModes: modes, StorageClassName: sandbox.StorageClass, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:               &corev1.ObjectReference{Namespace: s.namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: sandbox.Provisioner, VolumeHandle: "by-hand"}},
		},
	})).To(Succeed())
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: s.meta(name), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: modes, StorageClassName: ptr.To(sandbox.StorageClass), VolumeName: s.namespace + "-" + name,
		Resources: corev1.VolumeResourceRequirements{Requests: capacity},
	}}
	s.create(ctx, claim)
	Eventually(func(g Gomega) { g.Expect(s.claim(ctx, g, name).Status.Phase).To(Equal(corev1.ClaimBound)) }).WithContext(ctx).Should(Succeed())
}
