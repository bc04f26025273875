// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/workloads"
	"roost.dev/roost/test/simstorage/content"
)

// expectReleased finds no mark of a restore on a StatefulSet or a claim, and no claim beside the StatefulSet's own.
func (s *scene) expectReleased(ctx context.Context, g Gomega, name string) {
	set := &appsv1.StatefulSet{ObjectMeta: s.meta(name)}
	g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(set), set)).To(Succeed())
	g.Expect(set.Annotations).NotTo(HaveKey(snapshotv1alpha1.AnnotationRestoring))
	g.Expect(set.Annotations).NotTo(HaveKey(workloads.AnnotationReplicas))
	claims := s.claims(ctx, g)
	g.Expect(claims).To(HaveLen(int(*set.Spec.Replicas)), "a temporary claim is left")
	for i := range claims {
		g.Expect(claims[i].Annotations).NotTo(HaveKey(snapshotv1alpha1.AnnotationRestoring))
		g.Expect(claims[i].Status.Phase).To(Equal(corev1.ClaimBound))
	}
}

// expectSameBut finds a claim as it was, but with another volume.
func (s *scene) expectSameBut(ctx context.Context, was *corev1.PersistentVolumeClaim) {
	GinkgoHelper()
	is := s.claim(ctx, Default, was.Name)
	Expect(is.Spec.VolumeName).NotTo(Equal(was.Spec.VolumeName))
	Expect(is.Labels).To(Equal(was.Labels))
	Expect(is.OwnerReferences).To(Equal(was.OwnerReferences))
	Expect(is.Spec.Resources).To(Equal(was.Spec.Resources))
}

func (s *scene) expectOneSafetySnapshot(ctx context.Context, restore *snapshotv1alpha1.SnapshotRestore) {
	GinkgoHelper()
	var list snapshotv1alpha1.ApplicationSnapshotList
	Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{snapshotv1alpha1.LabelRestore: string(restore.UID)})).To(Succeed())
	Expect(list.Items).To(HaveLen(1))
	Expect(list.Items[0].Status.Phase).To(Equal(snapshotv1alpha1.PhaseReady))
}

// contentOfVolume is what a volume holds that no claim may have any more.
func (s *scene) contentOfVolume(ctx context.Context, name string) string {
	GinkgoHelper()
	volume := &corev1.PersistentVolume{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: name}, volume)).To(Succeed())
	text, err := os.ReadFile(filepath.Join(content.VolumePath(s.box.DataDir(), volume.Spec.CSI.VolumeHandle), "file"))
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
