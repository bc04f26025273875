// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/plugins/volumelocality"
	"roost.dev/roost/volumelocality/pools"
)

const (
	// poolCount pools have room for poolRoom claims of 1 GiB each.
	poolCount, poolRoom = 10, 10
	// burst is how many pods want a claim at once.
	burst = 200
	// burstPatience is how long they may take.
	burstPatience = 2 * time.Minute
)

var _ = Describe("A claim that is made from another volume", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	// The pod is drawn elsewhere, so that it is not by chance where the data is.
	land := func(ctx context.Context, in *space, claim *corev1.PersistentVolumeClaim, dataNodes []string) {
		GinkgoHelper()
		in.create(ctx, claim)
		node := in.run(ctx, "pod-of-"+claim.Name, using(claim.Name), preferring(without(allNodes(), dataNodes)))
		Expect(dataNodes).To(ContainElement(node))
		Expect(in.volumeOf(ctx, claim.Name).dataNodes).To(ContainElement(node))
	}

	It("lands on a node with its source's data, as a clone", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(3))
		clone := newClaim("clone", sandbox.StorageClass)
		clone.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: v.claim}
		land(ctx, s, clone, v.dataNodes)
	})

	It("lands on a node with the data that was snapshotted, also in another namespace", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(5))
		content := s.snapshotOf(ctx, v)
		land(ctx, s, fromSnapshot("restored", v.claim), v.dataNodes)
		there := newSpace(ctx, shared)
		there.bringIn(ctx, v.claim, content)
		land(ctx, there, fromSnapshot("restored", v.claim), v.dataNodes)
	})
})

func fromSnapshot(name, snapshot string) *corev1.PersistentVolumeClaim {
	claim := newClaim(name, sandbox.StorageClass)
	claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr.To(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: snapshot}
	return claim
}

// snapshotOf takes a snapshot with the name of the volume's claim, and returns its content once it is ready.
func (s *space) snapshotOf(ctx context.Context, v volume) *snapshotv1.VolumeSnapshotContent {
	GinkgoHelper()
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Name: v.claim},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To(v.claim)}},
	}
	s.create(ctx, snapshot)
	content := &snapshotv1.VolumeSnapshotContent{}
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		g.Expect(snapshot.Status).NotTo(BeNil())
		g.Expect(snapshot.Status.ReadyToUse).To(HaveValue(BeTrue()))
		g.Expect(s.client.Get(ctx, client.ObjectKey{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
	return content
}

// bringIn makes a snapshot of that name from one of another namespace.
func (s *space) bringIn(ctx context.Context, name string, from *snapshotv1.VolumeSnapshotContent) {
	GinkgoHelper()
	content := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Spec: snapshotv1.VolumeSnapshotContentSpec{
		Driver: from.Spec.Driver, DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain,
		Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: from.Status.SnapshotHandle},
		VolumeSnapshotRef: corev1.ObjectReference{Namespace: s.namespace, Name: name},
	}}
	s.createForSpec(ctx, content)
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: ptr.To(content.Name)}},
	}
	s.create(ctx, snapshot)
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)).To(Succeed())
		g.Expect(snapshot.Status).NotTo(BeNil())
		g.Expect(snapshot.Status.ReadyToUse).To(HaveValue(BeTrue()))
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("Claims for more than the storage pools have", Ordered, func() {
	var (
		s     *space
		class *storagev1.StorageClass
		box   *sandbox.Sandbox
	)
	BeforeAll(func(ctx SpecContext) {
		box = startSandbox(ctx, sandbox.Options{
			Nodes: sandbox.Nodes{
				Count: poolCount, Zones: 2, Racks: poolCount, CPU: resource.MustParse("64"), Pods: burst, Volumes: burst,
			},
			PoolCapacity: resource.MustParse(fmt.Sprintf("%dGi", poolRoom)),
			Without:      sets.New(sandbox.StockScheduler, sandbox.RoostManager),
		})
	}, NodeTimeout(startTimeout))

	BeforeEach(func(ctx SpecContext) {
		s = newSpace(ctx, box)
		class = &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "local-"}, Provisioner: sandbox.Provisioner,
			Parameters:        map[string]string{"replicas": "1", "access": "replicas"},
			VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
		}
		s.createForSpec(ctx, class)
		Eventually(func(g Gomega) { g.Expect(s.full(ctx, g, class.Name, 0)).To(Equal(poolCount)) }).WithContext(ctx).
			WithTimeout(burstPatience).Should(Succeed(), "pools are published and empty")
	}, NodeTimeout(startTimeout))

	DescribeTable("are bound as far as there is room, and none waits for a full pool",
		func(ctx SpecContext, restart bool) {
			for i := range burst {
				s.create(ctx, sizedClaim(fmt.Sprintf("data-%d", i), class.Name, "1Gi"))
			}
			for i := range burst {
				s.create(ctx, newPod(fmt.Sprintf("pod-%d", i), needing("1m"), using(fmt.Sprintf("data-%d", i))))
			}
			if restart {
				Eventually(func() int { return s.bound(ctx) }).WithContext(ctx).WithTimeout(burstPatience).Should(BeNumerically(">", 20))
				box.StopScheduler()
				Expect(box.StartScheduler(ctx, "")).To(Succeed())
			}
			Eventually(func() int { return s.bound(ctx) }).WithContext(ctx).WithTimeout(burstPatience).Should(Equal(poolCount * poolRoom))
			Eventually(func(g Gomega) { s.expectAtRest(ctx, g) }).WithContext(ctx).WithTimeout(burstPatience).Should(Succeed())
			s.expectNoneFailed(ctx)

			By("giving room back")
			s.deleteFirstBound(ctx)
			// A scheduler that starts again cannot tell whether a pool's object had what was just being made.
			Eventually(func() int { return s.bound(ctx) }).WithContext(ctx).WithTimeout(pools.CatchUpLimit+time.Minute).
				Should(Equal(poolCount*poolRoom), "one more has room")
		},
		Entry("when all come at once", false, NodeTimeout(2*startTimeout)),
		Entry("when the scheduler starts again in their midst", true, NodeTimeout(2*startTimeout)),
	)

	It("lets a pod run where all its claims fit, and nowhere where each fits only alone", func(ctx SpecContext) {
		pod := func(name, size string) {
			GinkgoHelper()
			for _, claim := range []string{name + "-a", name + "-b"} {
				s.create(ctx, sizedClaim(claim, class.Name, size))
			}
			s.create(ctx, newPod(name, using(name+"-a", name+"-b")))
		}
		pod("too-large", "6Gi")
		Expect(s.reasonOf(ctx, "too-large")).To(ContainSubstring(fmt.Sprintf("%d %s", poolCount, volumelocality.ErrReasonNoRoom)))
		for i := range poolCount + 5 {
			pod(fmt.Sprintf("pair-%d", i), "5Gi")
		}
		Eventually(func() int { return s.bound(ctx) }).WithContext(ctx).WithTimeout(burstPatience).Should(Equal(poolCount))
		Eventually(func(g Gomega) { s.expectAtRest(ctx, g) }).WithContext(ctx).WithTimeout(burstPatience).Should(Succeed())
		s.expectNoneFailed(ctx)
	}, NodeTimeout(startTimeout))
})

func sizedClaim(name, class, size string) *corev1.PersistentVolumeClaim {
	claim := newClaim(name, class)
	claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse(size)
	return claim
}

// full counts the pools of the class with that much taken, in GiB.
func (s *space) full(ctx context.Context, g Gomega, class string, taken int64) int {
	var list storagev1.CSIStorageCapacityList
	g.Expect(s.client.List(ctx, &list)).To(Succeed())
	count := 0
	for _, object := range list.Items {
		if object.StorageClassName == class && object.Capacity.Value() == (poolRoom-taken)<<30 {
			count++
		}
	}
	return count
}

// bound counts the pods that have a node.
func (s *space) bound(ctx context.Context) int {
	GinkgoHelper()
	count := 0
	for _, pod := range s.pods(ctx) {
		if pod.Spec.NodeName != "" {
			count++
		}
	}
	return count
}

// expectAtRest finds that every pod without a node says that it lacks storage, and that none of its claims names a node.
func (s *space) expectAtRest(ctx context.Context, g Gomega) {
	for _, pod := range s.pods(ctx) {
		if pod.Spec.NodeName == "" {
			g.Expect(scheduledCondition(&pod).Message).To(ContainSubstring("free storage"), pod.Name)
		}
	}
	var claims corev1.PersistentVolumeClaimList
	g.Expect(s.client.List(ctx, &claims, client.InNamespace(s.namespace))).To(Succeed())
	for _, claim := range claims.Items {
		if claim.Spec.VolumeName == "" {
			g.Expect(claim.Annotations).NotTo(HaveKey(storagehelpers.AnnSelectedNode), claim.Name)
		}
	}
}

// expectNoneFailed finds that no volume was ever asked for that there was no room for.
func (s *space) expectNoneFailed(ctx context.Context) {
	GinkgoHelper()
	var events corev1.EventList
	Expect(s.client.List(ctx, &events, client.InNamespace(s.namespace))).To(Succeed())
	for _, event := range events.Items {
		Expect(event.Reason).NotTo(Equal("ProvisioningFailed"), event.Message)
	}
}

// deleteFirstBound deletes a pod that has a node, and its claim.
func (s *space) deleteFirstBound(ctx context.Context) {
	GinkgoHelper()
	for _, pod := range s.pods(ctx) {
		if pod.Spec.NodeName == "" {
			continue
		}
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName,
		}}
		Expect(s.client.Delete(ctx, claim)).To(Succeed())
		s.deletePod(ctx, pod.Name)
		return
	}
}
