// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/test/simstorage/admin"
)

// scene is a namespace that goes with the spec, and a sandbox without faults when it has gone.
type scene struct {
	box       *sandbox.Sandbox
	client    client.WithWatch
	namespace string
}

func newScene(ctx context.Context) *scene { return newSceneIn(ctx, box) }

func newSceneIn(ctx context.Context, in *sandbox.Sandbox) *scene {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(in.Client.Create(ctx, namespace)).To(Succeed())
	s := &scene{box: in, client: in.Client, namespace: namespace.Name}
	DeferCleanup(func(ctx SpecContext) {
		if in.Sim != nil {
			Expect(in.Sim.SetSnapshots(ctx, admin.SnapshotFault{})).To(Succeed())
			// No two nodes published one volume at once.
			violations, err := in.Sim.Violations(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(violations).To(BeEmpty())
		}
		Expect(client.IgnoreNotFound(in.Client.Delete(ctx, namespace))).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(s.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.namespace), now)).To(Succeed())
			var pods corev1.PodList
			g.Expect(s.client.List(ctx, &pods, client.InNamespace(s.namespace))).To(Succeed())
			g.Expect(pods.Items).To(BeEmpty())
		}).WithContext(ctx).Should(Succeed())
	}, NodeTimeout(patience))
	return s
}

// now deletes without waiting for a kubelet.
var now = &client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}}

// create creates an object in the namespace.
func (s *scene) create(ctx context.Context, object client.Object) {
	GinkgoHelper()
	object.SetNamespace(s.namespace)
	Expect(s.client.Create(ctx, object)).To(Succeed())
}

func (s *scene) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.namespace, Name: name}
}

// database runs a StatefulSet with a claim "data" a pod, and waits for its pods.
func (s *scene) database(ctx context.Context, name string, replicas int32) *appsv1.StatefulSet {
	GinkgoHelper()
	labels := map[string]string{"app": name}
	set := &appsv1.StatefulSet{
		ObjectMeta: s.meta(name),
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To(replicas), Selector: &metav1.LabelSelector{MatchLabels: labels}, PodManagementPolicy: appsv1.ParallelPodManagement,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					SchedulerName: sandbox.SchedulerName, TerminationGracePeriodSeconds: ptr.To[int64](1),
					Containers: []corev1.Container{{Name: "main", Image: "main",
						VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: labels},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					StorageClassName: ptr.To(sandbox.StorageClass),
					Resources: corev1.VolumeResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
					},
				},
			}},
		},
	}
	s.create(ctx, set)
	s.allRunning(ctx, name, replicas)
	return set
}

// allRunning waits until the first n pods of a StatefulSet run.
func (s *scene) allRunning(ctx context.Context, name string, n int32) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for i := range n {
			pod := &corev1.Pod{ObjectMeta: s.meta(fmt.Sprintf("%s-%d", name, i))}
			g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			g.Expect(pod.DeletionTimestamp).To(BeNil())
			g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning), "conditions %v", pod.Status.Conditions)
		}
	}).WithContext(ctx).Should(Succeed())
}

// write has a claim's volume hold a text, as its pod would.
func (s *scene) write(ctx context.Context, claim, text string) {
	GinkgoHelper()
	dir, err := s.box.VolumeDir(ctx, s.namespace, claim)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600)).To(Succeed())
}

// content is what a claim's volume holds, file by file.
func (s *scene) content(ctx context.Context, g Gomega, claim, file string) string {
	dir, err := s.box.VolumeDir(ctx, s.namespace, claim)
	g.Expect(err).NotTo(HaveOccurred())
	text, err := os.ReadFile(filepath.Join(dir, file))
	if os.IsNotExist(err) {
		return ""
	}
	g.Expect(err).NotTo(HaveOccurred())
	return string(text)
}

func (s *scene) expectContent(ctx context.Context, claim, want string) {
	GinkgoHelper()
	Expect(s.content(ctx, Default, claim, "file")).To(Equal(want), claim)
}

// snapshot makes an ApplicationSnapshot of the claims of an app.
func (s *scene) snapshot(ctx context.Context, name, app string, options ...func(*snapshotv1alpha1.ApplicationSnapshotSpec)) *snapshotv1alpha1.ApplicationSnapshot {
	GinkgoHelper()
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: s.meta(name), Spec: snapshotv1alpha1.ApplicationSnapshotSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
	}}
	for _, option := range options {
		option(&snapshot.Spec)
	}
	s.create(ctx, snapshot)
	return snapshot
}

// inPhase waits until a snapshot is in a phase.
func (s *scene) inPhase(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot, phase snapshotv1alpha1.Phase) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		g.Expect(snapshot.Status.Phase).To(Equal(phase), snapshot.Status.Message)
	}).WithContext(ctx).Should(Succeed())
}

// readySnapshot takes a snapshot and waits until it can be restored.
func (s *scene) readySnapshot(ctx context.Context, name, app string, options ...func(*snapshotv1alpha1.ApplicationSnapshotSpec)) *snapshotv1alpha1.ApplicationSnapshot {
	GinkgoHelper()
	snapshot := s.snapshot(ctx, name, app, options...)
	s.inPhase(ctx, snapshot, snapshotv1alpha1.PhaseReady)
	return snapshot
}

// csiSnapshots are the VolumeSnapshots of the namespace.
func (s *scene) csiSnapshots(ctx context.Context, g Gomega) []snapshotv1.VolumeSnapshot {
	var list snapshotv1.VolumeSnapshotList
	g.Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	return list.Items
}

// restore makes a SnapshotRestore.
func (s *scene) restore(ctx context.Context, name string, spec snapshotv1alpha1.SnapshotRestoreSpec) *snapshotv1alpha1.SnapshotRestore {
	GinkgoHelper()
	restore := &snapshotv1alpha1.SnapshotRestore{ObjectMeta: s.meta(name), Spec: spec}
	s.create(ctx, restore)
	return restore
}

// restored waits until a restore is in a phase.
func (s *scene) restored(ctx context.Context, restore *snapshotv1alpha1.SnapshotRestore, phase snapshotv1alpha1.RestorePhase) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(restore), restore)).To(Succeed())
		g.Expect(restore.Status.Phase).To(Equal(phase), restore.Status.Message)
	}).WithContext(ctx).WithTimeout(2 * patience).Should(Succeed())
}
