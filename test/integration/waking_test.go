// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

const (
	// crowdOfEvents is how much happens in the cluster that does not concern a pod.
	crowdOfEvents = 1000
	// soon is how long a change in storage may take to bring a pod back. It is far below the 30 seconds after which the plugin
	// looks of itself.
	soon = 5 * time.Second
	// strange is a storage system of which nobody reports that it lives.
	strange        = "strange.example.com"
	attemptsMetric = "scheduler_schedule_attempts_total"
)

var _ = Describe("A pod that waits for its data", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	DescribeTable("is not tried again while a thousand things happen that do not concern it",
		func(ctx SpecContext, waitsFor func(ctx context.Context) string, withRoom bool) {
			claim := waitsFor(ctx)
			s.pend(ctx, "pod", using(claim), annotated(volumelocality.Required))
			before := s.attempts(ctx)
			count := s.crowd(ctx, withRoom)
			Expect(count).To(BeNumerically(">=", crowdOfEvents))
			// Each kind is told of in order, so that the scheduler has seen all of that kind once it has seen one that does.
			s.expectTriedOnceEach(ctx, before, []step{
				{"the pod asks for a wait", func() { s.annotate(ctx, s.get(ctx, &corev1.Pod{}, "pod"), "roost.dev/locality-wait", "1s") }},
				{"its claim asks for a policy", func() {
					s.annotate(ctx, s.get(ctx, &corev1.PersistentVolumeClaim{}, claim), volumelocality.PolicyAnnotation, "Required")
				}},
				{"its volume may be used on other nodes", func() { s.affine(ctx, s.boundVolume(ctx, claim)) }},
			})
			AddReportEntry("things that happened and did not have the pod tried", count)
		},
		Entry("because no replica is in sync", func(ctx context.Context) string {
			s.bindByHand(ctx, "data", csiSource(vendor, "lost"))
			s.publish(ctx, vendor, "lost")
			return "data"
		}, true, NodeTimeout(startTimeout)),
		Entry("because its storage system is silent", func(ctx context.Context) string {
			s.bindByHand(ctx, "data", csiSource(strange, "silent"))
			s.createForSpec(ctx, &storagev1alpha1.VolumeTopology{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"},
				Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: strange, VolumeHandle: "silent"},
			})
			return "data"
		}, true, NodeTimeout(startTimeout)),
		Entry("because the storage on its data nodes is offline", func(ctx context.Context) string {
			v := s.provision(ctx, "data", sandbox.NodeName(0))
			for _, node := range v.dataNodes {
				s.setStorage(ctx, node, storagev1alpha1.StorageOffline)
			}
			return v.claim
		}, true, NodeTimeout(startTimeout)),
		// In-tree plugins take any new node, taint and pod that ends for a reason to try a pod again that found no room.
		Entry("because its data node is full", func(ctx context.Context) string {
			s.bindByHand(ctx, "data", csiSource(vendor, "here"))
			s.publish(ctx, vendor, "here", sandbox.NodeName(0))
			s.fill(ctx, nodeCPU, allNodes()[:1])
			return "data"
		}, false, NodeTimeout(startTimeout)),
	)

	It("is tried once at each event of its claims' classes, drivers and pools, and not at those of others", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource(vendor, "lost-too"))
		s.publish(ctx, vendor, "lost-too")
		s.heedPools(ctx)
		class := s.newClass(ctx, "")
		s.create(ctx, newClaim("fresh", class.Name))
		s.pend(ctx, "pod", using("data", "fresh"), annotated(volumelocality.Required))
		s.annotate(ctx, class, "team", "db")
		pool := newPool(class.Name, "1Gi")
		s.expectTriedOnceEach(ctx, s.attempts(ctx), []step{
			{"its class asks for another policy", func() { s.annotate(ctx, class, volumelocality.PolicyAnnotation, "Avoid") }},
			{"its driver registers again", func() {
				Expect(s.box.SetDriverRegistered(ctx, sandbox.NodeName(0), false)).To(Succeed())
				Expect(s.box.SetDriverRegistered(ctx, sandbox.NodeName(0), true)).To(Succeed())
			}},
			{"a pool of its class is new", func() { s.create(ctx, pool) }},
			{"the pool has less room, and then more", func() {
				s.resize(ctx, pool, "512Mi")
				s.resize(ctx, pool, "2Gi")
			}},
			{"its claim asks for a policy", func() {
				s.annotate(ctx, s.get(ctx, &corev1.PersistentVolumeClaim{}, "fresh"), volumelocality.PolicyAnnotation, "Preferred")
			}},
		})
	})

	It("runs once a replica is in sync where there is room", func(ctx SpecContext) {
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nodeCPU, v.dataNodes)
		s.pend(ctx, "pod", using(v.claim), annotated(volumelocality.Required))
		free := s.strangers(ctx, v.dataNodes)[0]
		Expect(s.box.Sim.SetReplicaState(ctx, v.handle, free, storagev1alpha1.ReplicaInSync)).To(Succeed())
		s.expectSoonOn(ctx, "pod", free)
	})

	It("runs once its storage system says where the data is", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource(vendor, "late"))
		Expect(s.pend(ctx, "pod", using("data"), annotated(volumelocality.Required))).To(ContainSubstring(notKnown))
		s.publish(ctx, vendor, "late", sandbox.NodeName(3))
		s.expectSoonOn(ctx, "pod", sandbox.NodeName(3))
	})

	It("runs once the node with the data comes", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource(vendor, "far"))
		s.publish(ctx, vendor, "far", "spec-node")
		Expect(s.pend(ctx, "pod", using("data"), annotated(volumelocality.Required))).To(ContainSubstring("replicas are on nodes that do not exist"))
		s.createForSpec(ctx, newNode("spec-node", nodeCPU))
		s.expectSoonOn(ctx, "pod", "spec-node")
	})

	It("runs once it requires its data no more", func(ctx SpecContext) {
		s.bindByHand(ctx, "data", csiSource("nobody.example.com", "volume-4"))
		s.pend(ctx, "pod", using("data"), annotated(volumelocality.Required))
		s.annotate(ctx, s.get(ctx, &corev1.Pod{}, "pod"), volumelocality.PolicyAnnotation, "Preferred")
		s.nodeOf(ctx, "pod")
	})
})

// attempts is how often the scheduler has tried a pod since it began.
func (s *space) attempts(ctx context.Context) int {
	GinkgoHelper()
	return s.counted(ctx, attemptsMetric)
}

// counted is the sum of a counter of the scheduler over the lines with these labels.
func (s *space) counted(ctx context.Context, name string, labels ...string) int {
	GinkgoHelper()
	text, err := s.box.SchedulerMetrics(ctx)
	Expect(err).NotTo(HaveOccurred())
	sum := 0
	for _, line := range linesWith(text, name+"{") {
		if slices.ContainsFunc(labels, func(label string) bool { return len(linesWith(line, label)) == 0 }) {
			continue
		}
		_, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		count, err := strconv.Atoi(value)
		Expect(err).NotTo(HaveOccurred(), line)
		sum += count
	}
	return sum
}

// step is something that has a pod tried.
type step struct {
	what    string
	happens func()
}

// expectTriedOnceEach finds that the scheduler, which had made so many attempts before, makes one more after each step.
func (s *space) expectTriedOnceEach(ctx context.Context, before int, steps []step) {
	GinkgoHelper()
	for i, step := range steps {
		By(step.what)
		Expect(s.attempts(ctx)-before).To(Equal(i), "attempts before")
		step.happens()
		Eventually(func() int { return s.attempts(ctx) - before }).WithContext(ctx).Should(Equal(i+1), step.what)
	}
}

// expectSoonOn finds that a pod is bound long before the scheduler would have tried it of itself.
func (s *space) expectSoonOn(ctx context.Context, pod, node string) {
	GinkgoHelper()
	begin := time.Now()
	Eventually(func(g Gomega) string { return s.pod(ctx, g, pod).Spec.NodeName }).WithContext(ctx).WithTimeout(soon).Should(Equal(node))
	AddReportEntry("the pod was bound after", time.Since(begin).Round(poll).String())
}

// crowd makes much happen, of each kind that plugins can be told of, and returns how much. With room, nodes come and go,
// taints change, and pods end.
func (s *space) crowd(ctx context.Context, withRoom bool) int {
	GinkgoHelper()
	count := 0
	for round := 0; count < crowdOfEvents; round++ {
		name := fmt.Sprintf("spec-%s-%d", s.namespace, round)
		objects := s.unrelated(name)
		if withRoom {
			maps.Copy(objects, map[client.Object]string{
				newNode(name, nodeCPU):                                 `{"spec":{"unschedulable":true}}`,
				newPod(name, on(sandbox.NodeName(11)), needing("10m")): `{"metadata":{"labels":{"spec":"changed"}}}`,
			})
		}
		for object := range objects {
			if namespaced, err := s.client.IsObjectNamespaced(object); err == nil && namespaced {
				object.SetNamespace(s.namespace)
			}
			Expect(s.client.Create(ctx, object)).To(Succeed())
		}
		for object, change := range objects {
			patch := client.RawPatch(types.MergePatchType, []byte(change))
			Expect(s.client.Patch(ctx, object, patch)).To(Succeed())
			if status, ok := statusOf(object); ok {
				Expect(s.client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(status)))).To(Succeed())
				count++
			}
		}
		s.label(ctx, sandbox.NodeName(round%nodeCount), name)
		for object := range objects {
			Expect(s.client.Delete(ctx, object, client.GracePeriodSeconds(0))).To(Succeed())
		}
		count += 3*len(objects) + 2
	}
	return count
}

// unrelated are objects that concern nobody, with a change that would concern a pod if it used them.
func (s *space) unrelated(name string) map[client.Object]string {
	const policy = `{"metadata":{"annotations":{"roost.dev/locality":"Avoid"}}}`
	meta := metav1.ObjectMeta{Name: name}
	pv := &corev1.PersistentVolume{ObjectMeta: meta, Spec: corev1.PersistentVolumeSpec{
		Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource:        csiSource(vendor, name),
		ClaimRef:                      &corev1.ObjectReference{Namespace: "default", Name: "nobody"},
	}}
	class := &storagev1.StorageClass{ObjectMeta: meta, Provisioner: strange, VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)}
	csiNode := &storagev1.CSINode{ObjectMeta: meta, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: strange, NodeID: name}}}}
	pool := newPool("nobody", "1Gi")
	pool.Name = name
	return map[client.Object]string{
		newClaim(name, "nobody"): policy,
		pv:                       `{"spec":{"nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"spec","operator":"Exists"}]}]}}}}`,
		class:                    policy,
		csiNode:                  policy,
		pool:                     `{"capacity":"2Gi"}`,
		&storagev1alpha1.VolumeTopology{ObjectMeta: meta, Spec: storagev1alpha1.VolumeTopologySpec{Provisioner: vendor, VolumeHandle: name}}:          policy,
		&storagev1alpha1.StorageReport{ObjectMeta: meta, Spec: storagev1alpha1.StorageReportSpec{Provisioner: "another.example.com", NodeName: name}}: policy,
		&storagev1alpha1.StorageReport{ObjectMeta: named(name + "-x"), Spec: storagev1alpha1.StorageReportSpec{Provisioner: vendor, NodeName: name}}:  policy,
	}
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// statusOf is what a storage system says in an object of its own.
func statusOf(object client.Object) (string, bool) {
	switch object.(type) {
	case *storagev1alpha1.VolumeTopology:
		return `{"status":{"replicas":[{"nodeName":"node-000","state":"InSync"}]}}`, true
	case *storagev1alpha1.StorageReport:
		return `{"status":{"state":"Online","heartbeatTime":"` + metav1.NowMicro().UTC().Format(metav1.RFC3339Micro) + `"}}`, true
	default:
		return "", false
	}
}

// label changes a label of a node, and what its kubelet says when it last spoke.
func (s *space) label(ctx context.Context, name, value string) {
	GinkgoHelper()
	node := &corev1.Node{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: name}, node)).To(Succeed())
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"spec":"`+value+`"},"annotations":{"spec":"`+value+`"}}}`))
	Expect(s.client.Patch(ctx, node, patch)).To(Succeed())
	patch = client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"spec":null},"annotations":{"spec":null}}}`))
	Expect(s.client.Patch(ctx, node, patch)).To(Succeed())
}

func (s *space) get(ctx context.Context, object client.Object, name string) client.Object {
	GinkgoHelper()
	Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object)).To(Succeed())
	return object
}

func (s *space) annotate(ctx context.Context, object client.Object, key, value string) {
	GinkgoHelper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value))
	Expect(s.client.Patch(ctx, object, patch)).To(Succeed())
}

// affine lets a volume be used on all nodes, by name.
func (s *space) affine(ctx context.Context, pv *corev1.PersistentVolume) {
	GinkgoHelper()
	pv.Spec.NodeAffinity = hostnameIn(allNodes())
	Expect(s.client.Update(ctx, pv)).To(Succeed())
}

func newPool(class, capacity string) *storagev1.CSIStorageCapacity {
	return &storagev1.CSIStorageCapacity{
		ObjectMeta:       metav1.ObjectMeta{GenerateName: "spec-"},
		StorageClassName: class,
		NodeTopology:     &metav1.LabelSelector{},
		Capacity:         ptr.To(resource.MustParse(capacity)),
	}
}

func (s *space) resize(ctx context.Context, pool *storagev1.CSIStorageCapacity, capacity string) {
	GinkgoHelper()
	pool.Capacity = ptr.To(resource.MustParse(capacity))
	Expect(s.client.Update(ctx, pool)).To(Succeed())
}

// newNode is a node that kwok looks after, like those of the sandbox.
func newNode(name, cpu string) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("4Gi"), corev1.ResourcePods: resource.MustParse("10"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{sandbox.LabelKubelet: "alive"}},
		Status:     corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}

// heedPools has the sandbox's CSI driver say, for the spec, that pods are to go where its pools have room.
func (s *space) heedPools(ctx context.Context) {
	GinkgoHelper()
	set := func(ctx context.Context, heed bool) {
		GinkgoHelper()
		driver := &storagev1.CSIDriver{}
		Expect(s.client.Get(ctx, client.ObjectKey{Name: sandbox.Provisioner}, driver)).To(Succeed())
		patch := client.MergeFrom(driver.DeepCopy())
		driver.Spec.StorageCapacity = ptr.To(heed)
		Expect(s.client.Patch(ctx, driver, patch)).To(Succeed())
	}
	set(ctx, true)
	DeferCleanup(func(ctx SpecContext) { set(ctx, false) }, NodeTimeout(patience))
}
