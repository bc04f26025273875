// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

const (
	manyNodes, manyZones, manyRacks = 5000, 10, 100
	// manyVolumes have three replicas each, on nodes that no other volume is on: on those of the first half there is room
	// for one small pod, on those of the next quarter for none, and those of the last quarter do not take any.
	manyVolumes, replicasEach = 200, 3
	// podsEach volume fill what room there is.
	podsEach = replicasEach
	// small is what a pod of this spec needs.
	small = "100m"
	// scalePatience is how long the scheduler may take for all pods of a step. It asks the API server 50 times a second at most.
	scalePatience = 3 * time.Minute
)

var _ = Describe("With 5,000 nodes, and the data nodes nearly full", func() {
	It("no pod starves, none is tried more often than it widens, and nobody is evicted for a node that is only preferred", func(ctx SpecContext) {
		box := startSandbox(ctx, sandbox.Options{
			Nodes: sandbox.Nodes{Count: manyNodes, Zones: manyZones, Racks: manyRacks},
			Without: sets.New(sandbox.StockScheduler, sandbox.Kwok, sandbox.ControllerManager, sandbox.Storage, sandbox.Sidecars,
				sandbox.RoostManager),
		})
		createPriorities(ctx, box)
		c := &crowded{space: newSpace(ctx, box)}
		c.fillDataNodes(ctx)
		before := c.uids(ctx)

		By("a pod for each place on a data node, one more for each volume that has none, and others among them")
		c.each(ctx, 20, func(i int) error {
			return c.try(ctx, newPod(fmt.Sprintf("gated-%d", i), using(claimAt(i)), needing(small), func(pod *corev1.Pod) {
				pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "spec.example.com/later"}}
			}))
		})
		c.each(ctx, manyVolumes*podsEach, func(i int) error {
			// Pods without volumes have one signature, and are placed in batches.
			if err := c.try(ctx, newPod(fmt.Sprintf("stateless-%d", i), needing("10m"))); err != nil {
				return err
			}
			return c.try(ctx, newPod(fmt.Sprintf("pod-%d", i), using(claimAt(i)), needing(small), ranked(highPriority)))
		})
		c.expectPlaced(ctx)

		By("pods that go, and others that come for their room")
		c.each(ctx, manyVolumes/2, func(i int) error {
			old := &corev1.Pod{}
			old.Namespace, old.Name = c.namespace, fmt.Sprintf("pod-%d", i)
			if err := c.client.Delete(ctx, old, client.GracePeriodSeconds(0)); err != nil {
				return fmt.Errorf("deleting pod %s: %w", old.Name, err)
			}
			return c.try(ctx, newPod(fmt.Sprintf("successor-%d", i), using(claimAt(i)), needing(small), ranked(highPriority)))
		})
		c.ungate(ctx)
		c.expectPlaced(ctx)
		c.expectEvicted(ctx, before)

		By("one that must be where its data is, and may evict")
		c.create(ctx, newPod("required", using(claimAt(manyVolumes/2)), needing(small), ranked(highPriority), annotated(volumelocality.Required)))
		Expect(dataNodesAt(manyVolumes / 2)).To(ContainElement(c.nodeOf(ctx, "required")))

		c.expectFewAttempts(ctx)
		c.expectLocal(ctx)
	}, NodeTimeout(10*time.Minute))
})

// crowded is a namespace in a cluster whose data nodes are nearly full.
type crowded struct{ *space }

// claimAt is the claim of the volume with that index, which counts on beyond the last one.
func claimAt(i int) string { return fmt.Sprintf("data-%d", i%manyVolumes) }

// dataNodesAt are the nodes with a replica of the volume: far from each other, and from those of all other volumes.
func dataNodesAt(volume int) []string {
	var nodes []string
	for replica := range replicasEach {
		nodes = append(nodes, sandbox.NodeName(volume*replicasEach+replica*(manyNodes/replicasEach)))
	}
	return nodes
}

// hasRoom says that there is room for a pod on each of the volume's nodes, and isTainted that they do not take any.
func hasRoom(volume int) bool   { return volume < manyVolumes/2 }
func isTainted(volume int) bool { return volume >= manyVolumes*3/4 }

// fillDataNodes makes the volumes and fills their nodes with pods of no priority, or taints them.
func (c *crowded) fillDataNodes(ctx context.Context) {
	GinkgoHelper()
	c.publish(ctx, sandbox.Provisioner, "none") // the storage system's first sign of life
	c.each(ctx, manyVolumes, func(i int) error {
		if err := c.provisionAt(ctx, i); err != nil {
			return err
		}
		cpu := "8"
		if hasRoom(i) {
			cpu = "7900m"
		}
		for _, node := range dataNodesAt(i) {
			if isTainted(i) {
				if err := c.setTaints(ctx, node, takesNoPod); err != nil {
					return err
				}
				continue
			}
			if err := c.try(ctx, newPod(filler(node), on(node), needing(cpu))); err != nil {
				return err
			}
		}
		return nil
	})
}

// provisionAt makes a bound claim whose volume any node may mount.
func (c *crowded) provisionAt(ctx context.Context, i int) error {
	claim, handle := newClaim(claimAt(i), ""), fmt.Sprintf("volume-%d", i)
	pv := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		Capacity:                      claim.Spec.Resources.Requests,
		AccessModes:                   claim.Spec.AccessModes,
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource:        csiSource(sandbox.Provisioner, handle),
		ClaimRef:                      &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: c.namespace, Name: claim.Name},
	}}
	pv.Name, claim.Spec.VolumeName = handle, handle
	// What the volume controller writes, which does not run here.
	claim.Annotations["pv.kubernetes.io/bind-completed"] = "yes"
	topology := &storagev1alpha1.VolumeTopology{
		Spec: storagev1alpha1.VolumeTopologySpec{Provisioner: sandbox.Provisioner, VolumeHandle: handle},
	}
	topology.Name = handle
	if err := errors.Join(c.try(ctx, claim), c.client.Create(ctx, pv), c.client.Create(ctx, topology)); err != nil {
		return fmt.Errorf("making volume %s: %w", handle, err)
	}
	claim.Status.Phase = corev1.ClaimBound
	for _, node := range dataNodesAt(i) {
		topology.Status.Replicas = append(topology.Status.Replicas,
			storagev1alpha1.VolumeReplica{NodeName: node, State: storagev1alpha1.ReplicaInSync})
	}
	if err := errors.Join(c.client.Status().Update(ctx, claim), c.client.Status().Update(ctx, topology)); err != nil {
		return fmt.Errorf("saying that volume %s is there: %w", handle, err)
	}
	return nil
}

// each does something for every index, several at a time.
func (c *crowded) each(ctx context.Context, count int, do func(i int) error) {
	GinkgoHelper()
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range count {
		group.Go(func() error { return do(i) })
	}
	Expect(group.Wait()).To(Succeed())
}

func (c *crowded) try(ctx context.Context, object client.Object) error {
	object.SetNamespace(c.namespace)
	if err := c.client.Create(ctx, object); err != nil {
		return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

// ungate lets the scheduler have the pods that were held back.
func (c *crowded) ungate(ctx context.Context) {
	GinkgoHelper()
	for _, pod := range c.pods(ctx) {
		if len(pod.Spec.SchedulingGates) == 0 {
			continue
		}
		patch := client.MergeFrom(pod.DeepCopy())
		pod.Spec.SchedulingGates = nil
		Expect(c.client.Patch(ctx, &pod, patch)).To(Succeed())
	}
}

// expectPlaced waits until every pod is bound that is not held back.
func (c *crowded) expectPlaced(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		c.beat(ctx, sandbox.Provisioner)
		var pending []string
		for _, pod := range c.pods(ctx) {
			if pod.Spec.NodeName == "" && len(pod.Spec.SchedulingGates) == 0 {
				pending = append(pending, pod.Name)
			}
		}
		g.Expect(pending).To(BeEmpty())
	}).WithTimeout(scalePatience).WithPolling(time.Second).WithContext(ctx).Should(Succeed())
}

// expectFewAttempts finds that no pod failed more often than it widened, which is twice: near the data, and everywhere; and that
// none failed at all whose data nodes are full.
func (c *crowded) expectFewAttempts(ctx context.Context) {
	GinkgoHelper()
	var events eventsv1.EventList
	Expect(c.client.List(ctx, &events, client.InNamespace(c.namespace))).To(Succeed())
	failures := map[string]int32{}
	for _, event := range events.Items {
		if event.Reason == reasonFailedScheduling && event.Regarding.Name != "required" {
			failures[event.Regarding.Name] += max(1, ptr.Deref(event.Series, eventsv1.EventSeries{}).Count)
		}
	}
	for pod, count := range failures {
		Expect(count).To(BeNumerically("<=", 2), pod)
		Expect(isTainted(numberIn(pod)%manyVolumes)).To(BeTrue(), "%s failed, and the data nodes of its volume are not tainted", pod)
	}
	Expect(len(failures)).To(BeNumerically(">=", manyVolumes/4*podsEach), "the pods that the data nodes do not take have widened")
}

// expectLocal finds the pods on data nodes where there is room, and in a data node's rack where there is none.
func (c *crowded) expectLocal(ctx context.Context) {
	GinkgoHelper()
	local, near := 0, 0
	for _, pod := range c.pods(ctx) {
		if len(pod.Spec.Volumes) == 0 || pod.Name == "required" {
			continue
		}
		data := dataNodesAt(numberIn(pod.Spec.Volumes[0].Name))
		if slices.Contains(data, pod.Spec.NodeName) {
			local++
		} else if slices.ContainsFunc(data, func(node string) bool { return rackOf(node) == rackOf(pod.Spec.NodeName) }) {
			near++
		}
	}
	GinkgoWriter.Printf("%d pods on a data node, %d in the rack of one\n", local, near)
	Expect(local).To(Equal(manyVolumes / 2 * podsEach))
	// The others are those of the other volumes, and the gated ones.
	Expect(near).To(Equal(manyVolumes/2*podsEach + 20))
}

// rackOf is the rack of a node, by its number: the sandbox fills them in order.
func rackOf(node string) int { return numberIn(node) * manyRacks / manyNodes }

// numberIn is the number that a name ends in.
func numberIn(name string) int {
	GinkgoHelper()
	number, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
	Expect(err).NotTo(HaveOccurred())
	return number
}
