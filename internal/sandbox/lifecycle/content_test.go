// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"os"
	"path/filepath"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
)

// volumeName is what the pods of these tests call their claim.
const volumeName = "data"

// withVolumes is a small sandbox whose pods have volumes.
func withVolumes(dir string) sandbox.Options {
	opts := small(dir)
	opts.Without.Delete(sandbox.StockScheduler, sandbox.Storage, sandbox.Sidecars, sandbox.RoostCRDs)
	return opts
}

// claim makes a claim and a pod of the same name that uses it, and returns the directory of its volume once the pod runs.
func (c cluster) claim(ctx context.Context, name string, source *corev1.TypedLocalObjectReference) string {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, Labels: map[string]string{"app": "db"}}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: ptr.To(sandbox.StorageClass), DataSource: source,
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	Expect(c.Client.Create(ctx, claim)).To(Succeed())
	pod := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "c", Image: "simulated"}},
		Volumes: []corev1.Volume{{Name: volumeName, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}}},
	}}
	Eventually(func() error { return c.Client.Create(ctx, pod) }, patience, "100ms").Should(Succeed())
	Eventually(func(g Gomega) { g.Expect(podReady(c.pod(ctx, g, name))).To(Equal(corev1.ConditionTrue)) }, patience, "50ms").Should(Succeed())
	dir, err := c.VolumeDir(ctx, metav1.NamespaceDefault, name)
	Expect(err).NotTo(HaveOccurred())
	return dir
}

func write(dir, text string) {
	GinkgoHelper()
	Expect(os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600)).To(Succeed())
}

func read(dir string) string {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(dir, "file"))
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// snapshot takes a snapshot of a claim and waits until it is ready.
func (c cluster) snapshot(ctx context.Context, claim string) *snapshotv1.VolumeSnapshot {
	GinkgoHelper()
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: claim},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim}},
	}
	Expect(c.Client.Create(ctx, snapshot)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(c.Client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		g.Expect(snapshot.Status).To(HaveValue(HaveField("ReadyToUse", HaveValue(BeTrue()))))
	}, patience, "100ms").Should(Succeed())
	return snapshot
}

func fromSnapshot(name string) *corev1.TypedLocalObjectReference {
	return &corev1.TypedLocalObjectReference{APIGroup: ptr.To(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: name}
}

// groupSnapshot takes a snapshot of all claims of the label app, and returns the members' names by claim once all are ready.
func (c cluster) groupSnapshot(ctx context.Context) map[string]string {
	GinkgoHelper()
	group := &groupsnapshotv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "both"},
		Spec: groupsnapshotv1.VolumeGroupSnapshotSpec{Source: groupsnapshotv1.VolumeGroupSnapshotSource{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
		}},
	}
	Expect(c.Client.Create(ctx, group)).To(Succeed())
	members := map[string]string{}
	Eventually(func(g Gomega) {
		g.Expect(c.Client.Get(ctx, client.ObjectKeyFromObject(group), group)).To(Succeed())
		g.Expect(group.Status).To(HaveValue(HaveField("ReadyToUse", HaveValue(BeTrue()))))
		var snapshots snapshotv1.VolumeSnapshotList
		g.Expect(c.Client.List(ctx, &snapshots)).To(Succeed())
		clear(members)
		for i := range snapshots.Items {
			s := &snapshots.Items[i]
			if metav1.IsControlledBy(s, group) || s.Status != nil && ptr.Deref(s.Status.VolumeGroupSnapshotName, "") == group.Name {
				g.Expect(s.Status).To(HaveValue(HaveField("ReadyToUse", HaveValue(BeTrue()))))
				members[*s.Spec.Source.PersistentVolumeClaimName] = s.Name
			}
		}
		g.Expect(members).To(HaveLen(2))
	}, patience, "100ms").Should(Succeed())
	return members
}

var _ = Describe("A volume's content", func() {
	It("comes back from a snapshot, and from a group snapshot, as it was at the cut", func(ctx SpecContext) {
		c := startCluster(ctx, withVolumes(newDir()))
		one, two := c.claim(ctx, "one", nil), c.claim(ctx, "two", nil)
		write(one, "old")
		write(two, "old too")
		c.snapshot(ctx, "one")
		write(one, "new")
		By("restoring the snapshot to a claim of its own")
		restored := c.claim(ctx, "restored", fromSnapshot("one"))
		Expect(read(restored)).To(Equal("old"))
		Expect(read(one)).To(Equal("new"))
		c.patch(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "restored"}},
			`{"metadata":{"labels":{"app":"none"}}}`)

		By("taking a snapshot of two claims")
		members := c.groupSnapshot(ctx)
		write(one, "newer")
		write(two, "newer too")
		for claim, want := range map[string]string{"one": "new", "two": "old too"} {
			Expect(read(c.claim(ctx, claim+"-of-group", fromSnapshot(members[claim])))).To(Equal(want))
		}

		By("deleting all, which leaves no content")
		Expect(c.Client.Delete(ctx, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "both"}})).To(Succeed())
		Expect(c.Client.Delete(ctx, &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "one"}})).To(Succeed())
		for _, kind := range []client.Object{&corev1.Pod{}, &corev1.PersistentVolumeClaim{}} {
			Expect(c.Client.DeleteAllOf(ctx, kind, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
		}
		Eventually(func(g Gomega) {
			for _, folder := range []string{"volumes", "snapshots"} {
				entries, err := os.ReadDir(filepath.Join(c.DataDir(), folder))
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(entries).To(BeEmpty(), folder)
			}
		}, patience, "100ms").Should(Succeed())
	}, NodeTimeout(startTimeout))
})
