// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/test/simstorage/cluster"
)

const (
	// detachPatience is for what attach-detach with its stock flags may take a minute to notice.
	detachPatience = 90 * time.Second
	// foreignDriver is a CSI driver that nobody runs.
	foreignDriver = "foreign.example.com"
)

// killNode has a node die: its kubelet is gone, kube-controller-manager has noticed, and the storage system hears nothing of it.
func killNode(ctx context.Context, node string) {
	GinkgoHelper()
	Expect(box.KillKubelet(ctx, node, sandbox.Noticed)).To(Succeed())
	Expect(box.Sim.SetCutOff(ctx, node, true)).To(Succeed())
}

// fenceByHand has the storage system fence nothing by itself until the end of the spec.
func fenceByHand(ctx context.Context) {
	GinkgoHelper()
	Expect(box.Sim.SetFencing(ctx, cluster.FencingManual)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(box.Sim.SetFencing(ctx, cluster.FencingAutomatic)).To(Succeed())
	}, NodeTimeout(patience))
}

// fence has the storage system refuse what the pod's node writes to its volume.
func (s *scene) fence(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	Expect(box.Sim.SetFence(ctx, s.volume(ctx, pod).Spec.CSI.VolumeHandle, pod.Spec.NodeName, true)).To(Succeed())
}

// attachForeign makes an attachment to the node of a CSI driver that is none of ours.
func attachForeign(ctx context.Context, node string) *storagev1.VolumeAttachment {
	GinkgoHelper()
	attachment := &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "foreign-"},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: foreignDriver, NodeName: node,
			Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("foreign")},
		},
	}
	Expect(box.Client.Create(ctx, attachment)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(box.Client.Delete(ctx, attachment))).To(Succeed())
	}, NodeTimeout(patience))
	return attachment
}

// movedFrom waits until another pod of that name runs on another node and has its volume published there.
func (s *scene) movedFrom(ctx context.Context, pod *corev1.Pod, within time.Duration) *corev1.Pod {
	GinkgoHelper()
	moved := s.running(ctx, pod.Name, string(pod.UID))
	Expect(moved.Spec.NodeName).NotTo(Equal(pod.Spec.NodeName))
	s.published(ctx, moved, within)
	return moved
}

// published waits until the pod's volume is published on its node, and returns its attachment there. kwok does not wait for
// that before it says that a pod runs.
func (s *scene) published(ctx context.Context, pod *corev1.Pod, within time.Duration) storagev1.VolumeAttachment {
	GinkgoHelper()
	pv := s.volume(ctx, pod)
	Eventually(func(g Gomega) {
		volumes, err := box.Sim.Volumes(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		var on []string
		for i := range volumes {
			if volumes[i].Handle == pv.Spec.CSI.VolumeHandle {
				on = volumes[i].Published
			}
		}
		g.Expect(on).To(ContainElement(pod.Spec.NodeName))
	}).WithContext(ctx).WithTimeout(within).Should(Succeed())
	return attachments(ctx, Default, pv.Name)[pod.Spec.NodeName]
}

// expectTerminating waits until the pod is asked to end.
func (s *scene) expectTerminating(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		live := &corev1.Pod{}
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), live)).To(Succeed())
		g.Expect(live.UID).To(Equal(pod.UID))
		g.Expect(live.DeletionTimestamp).NotTo(BeNil())
	}).WithContext(ctx).Should(Succeed())
}

// expectNotRemoved finds for specPause that the pod, terminating or not, is still there.
func (s *scene) expectNotRemoved(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	Consistently(func(g Gomega) {
		live := &corev1.Pod{}
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), live)).To(Succeed())
		g.Expect(live.UID).To(Equal(pod.UID))
	}).WithContext(ctx).WithTimeout(specPause).WithPolling(4 * poll).Should(Succeed())
}

// expectReady waits until the node is Ready and its storage reports that it is Online.
func expectReady(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		node := &corev1.Node{}
		g.Expect(box.Client.Get(ctx, types.NamespacedName{Name: name}, node)).To(Succeed())
		i := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
		g.Expect(node.Status.Conditions[i].Status).To(Equal(corev1.ConditionTrue))
		var reports storagev1alpha1.StorageReportList
		g.Expect(box.Client.List(ctx, &reports)).To(Succeed())
		j := slices.IndexFunc(reports.Items, func(r storagev1alpha1.StorageReport) bool { return r.Spec.NodeName == name })
		g.Expect(j).To(BeNumerically(">=", 0))
		g.Expect(reports.Items[j].Status.State).To(Equal(storagev1alpha1.StorageOnline))
	}).WithContext(ctx).Should(Succeed())
}

// history is what a watch has told, in order.
type history struct {
	mu   sync.Mutex
	told []watch.Event
}

// follow watches objects of a list's kind until the end of the spec.
func follow(ctx context.Context, list client.ObjectList, options ...client.ListOption) *history {
	GinkgoHelper()
	watcher, err := box.Client.Watch(ctx, list, options...)
	Expect(err).NotTo(HaveOccurred())
	h, done := &history{}, make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			h.mu.Lock()
			h.told = append(h.told, event)
			h.mu.Unlock()
		}
	}()
	DeferCleanup(func() {
		watcher.Stop()
		<-done
	})
	return h
}

func (h *history) events() []watch.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.told)
}

// goneAt waits until the object is gone and returns the version of everything at which that was.
func (h *history) goneAt(ctx context.Context, uid types.UID) string {
	GinkgoHelper()
	var version string
	Eventually(func() bool {
		for _, event := range h.events() {
			if object, ok := event.Object.(client.Object); ok && event.Type == watch.Deleted && object.GetUID() == uid {
				version = object.GetResourceVersion()
			}
		}
		return version != ""
	}).WithContext(ctx).Should(BeTrue())
	return version
}

// expectOrder finds that the first version is before the second, of whatever kinds they are.
func expectOrder(first, second string) {
	GinkgoHelper()
	order, err := resourceversion.CompareResourceVersion(first, second)
	Expect(err).NotTo(HaveOccurred())
	Expect(order).To(Equal(-1), "%s is not before %s", first, second)
}

// outOfServiceTaints are the out-of-service taints that the node had, each change of them once; nil stands for none.
func (h *history) outOfServiceTaints() []*corev1.Taint {
	var taints []*corev1.Taint
	for _, event := range h.events() {
		node, ok := event.Object.(*corev1.Node)
		if !ok {
			continue
		}
		var now *corev1.Taint
		for i := range node.Spec.Taints {
			if node.Spec.Taints[i].Key == corev1.TaintNodeOutOfService {
				now = &corev1.Taint{Key: node.Spec.Taints[i].Key, Value: node.Spec.Taints[i].Value, Effect: node.Spec.Taints[i].Effect}
			}
		}
		if len(taints) == 0 && now == nil || len(taints) > 0 && ptr.Equal(taints[len(taints)-1], now) {
			continue
		}
		taints = append(taints, now)
	}
	return taints
}

// pods are how many pods of that name there have been.
func (h *history) pods(name string) int {
	uids := sets.New[types.UID]()
	for _, event := range h.events() {
		if pod, ok := event.Object.(*corev1.Pod); ok && pod.Name == name {
			uids.Insert(pod.UID)
		}
	}
	return uids.Len()
}

func followNode(ctx context.Context, name string) *history {
	return follow(ctx, &corev1.NodeList{}, client.MatchingFields{"metadata.name": name})
}

func followAttachments(ctx context.Context) *history {
	return follow(ctx, &storagev1.VolumeAttachmentList{})
}

func (s *scene) followPods(ctx context.Context) *history {
	return follow(ctx, &corev1.PodList{}, client.InNamespace(s.namespace))
}

// ourTaint is the taint that Roost puts on.
var ourTaint = &corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: failover.TaintValue, Effect: corev1.TaintEffectNoSchedule}
