// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// scene is a namespace, and the faults that a spec makes. All of it ends with the spec.
type scene struct {
	client    client.WithWatch
	namespace string
}

// newScene makes a namespace. When the spec ends every fault is mended, and what must hold after every spec is looked at.
func newScene(ctx context.Context) *scene {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(box.Client.Create(ctx, namespace)).To(Succeed())
	s := &scene{client: box.Client, namespace: namespace.Name}
	DeferCleanup(func(ctx SpecContext) {
		expectNoViolation(ctx)
		mendAll(ctx)
		Expect(client.IgnoreNotFound(box.Client.Delete(ctx, namespace))).To(Succeed())
		s.removePods(ctx)
		expectAllHealthy(ctx)
		expectNoViolation(ctx) // nor when the nodes came back
	}, NodeTimeout(specTimeout))
	return s
}

// expectNoViolation finds that no two nodes published one volume at once.
func expectNoViolation(ctx context.Context) {
	GinkgoHelper()
	violations, err := box.Sim.Violations(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(violations).To(BeEmpty())
}

// mendAll ends every fault of simstorage and every dead kubelet.
func mendAll(ctx context.Context) {
	GinkgoHelper()
	Expect(box.Sim.SetAPI(ctx, false, 0)).To(Succeed())
	Expect(box.Sim.SetPublisher(ctx, false)).To(Succeed())
	nodes, err := box.Sim.Nodes(ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, node := range nodes {
		if node.CutOff {
			Expect(box.Sim.SetCutOff(ctx, node.Name, false)).To(Succeed())
		}
		if node.State != storagev1alpha1.StorageOnline {
			Expect(box.Sim.SetNodeState(ctx, node.Name, storagev1alpha1.StorageOnline, "")).To(Succeed())
		}
	}
	var objects corev1.NodeList
	Expect(box.Client.List(ctx, &objects)).To(Succeed())
	for i := range objects.Items {
		if objects.Items[i].Labels[sandbox.LabelKubelet] == "dead" {
			Expect(box.ReviveKubelet(ctx, objects.Items[i].Name)).To(Succeed())
		}
	}
}

// expectAllHealthy waits until nothing is left of a fault: every node Ready and without our taint, every StorageNode Healthy.
func expectAllHealthy(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var list storagev1alpha1.StorageNodeList
		g.Expect(box.Client.List(ctx, &list)).To(Succeed())
		for i := range list.Items {
			g.Expect(list.Items[i].Status.State).To(Equal(storagev1alpha1.HealthHealthy), list.Items[i].Name)
		}
		var nodes corev1.NodeList
		g.Expect(box.Client.List(ctx, &nodes)).To(Succeed())
		for i := range nodes.Items {
			g.Expect(nodes.Items[i].Spec.Taints).To(BeEmpty(), nodes.Items[i].Name)
		}
	}).WithContext(ctx).Should(Succeed())
}

func (s *scene) removePods(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.namespace), now)).To(Succeed())
		var pods corev1.PodList
		g.Expect(s.client.List(ctx, &pods, client.InNamespace(s.namespace))).To(Succeed())
		g.Expect(pods.Items).To(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}

// now deletes without waiting for a kubelet.
var now = &client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}}

// setOption changes a StatefulSet that is about to be created.
type setOption func(*appsv1.StatefulSet)

// database runs a StatefulSet of that name with a claim a pod, all its pods, and returns the first.
func (s *scene) database(ctx context.Context, name string, options ...setOption) *corev1.Pod {
	GinkgoHelper()
	set := s.createDatabase(ctx, name, options...)
	for i := range *set.Spec.Replicas {
		s.running(ctx, fmt.Sprintf("%s-%d", name, i), "")
	}
	return s.running(ctx, name+"-0", "")
}

// createDatabase does not wait for the pods.
func (s *scene) createDatabase(ctx context.Context, name string, options ...setOption) *appsv1.StatefulSet {
	GinkgoHelper()
	labels := map[string]string{"app": name}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas:            ptr.To[int32](1),
			Selector:            &metav1.LabelSelector{MatchLabels: labels},
			PodManagementPolicy: appsv1.ParallelPodManagement,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					SchedulerName:                 sandbox.SchedulerName,
					TerminationGracePeriodSeconds: ptr.To[int64](5),
					Containers: []corev1.Container{{
						Name: "main", Image: "main",
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}},
					}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
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
	for _, option := range options {
		option(set)
	}
	Expect(s.client.Create(ctx, set)).To(Succeed())
	return set
}

// replicas has that many pods.
func replicas(n int32) setOption {
	return func(set *appsv1.StatefulSet) { set.Spec.Replicas = ptr.To(n) }
}

// onNode has the first placing, and only the first, be on a node: it is preferred by far.
func onNode(node string) setOption {
	return func(set *appsv1.StatefulSet) {
		set.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 100,
				Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}},
		}}
	}
}

// annotatedPod sets an annotation on the pods.
func annotatedPod(key, value string) setOption {
	return func(set *appsv1.StatefulSet) { metav1.SetMetaDataAnnotation(&set.Spec.Template.ObjectMeta, key, value) }
}

// running waits until the pod of that name runs, and is not the one with the given UID, and returns it.
func (s *scene) running(ctx context.Context, name, notUID string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, pod)).To(Succeed())
		g.Expect(string(pod.UID)).NotTo(Equal(notUID))
		g.Expect(pod.DeletionTimestamp).To(BeNil())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning), "conditions %v", pod.Status.Conditions)
	}).WithContext(ctx).Should(Succeed())
	return pod
}

// expectStays finds for that long, in polls, that the pod is the same, on the same node and not on its way out.
func (s *scene) expectStays(ctx context.Context, pod *corev1.Pod, duration time.Duration) {
	GinkgoHelper()
	Consistently(func(g Gomega) {
		live := &corev1.Pod{}
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(pod), live)).To(Succeed())
		g.Expect(live.UID).To(Equal(pod.UID))
		g.Expect(live.Spec.NodeName).To(Equal(pod.Spec.NodeName))
		g.Expect(live.DeletionTimestamp).To(BeNil())
	}).WithContext(ctx).WithTimeout(duration).WithPolling(4 * poll).Should(Succeed())
}

// failStorage has the storage of a node fail while the node lives.
func failStorage(ctx context.Context, node string) {
	GinkgoHelper()
	Expect(box.Sim.SetNodeState(ctx, node, storagev1alpha1.StorageOffline, "pool sda: I/O error")).To(Succeed())
}

// storageNode is that of a node, as it is now.
func storageNode(ctx context.Context, g Gomega, node string) *storagev1alpha1.StorageNode {
	object := &storagev1alpha1.StorageNode{}
	g.Expect(box.Client.Get(ctx, client.ObjectKey{Name: sandbox.Provisioner + "." + node}, object)).To(Succeed())
	return object
}

// expectState waits for a verdict and returns the StorageNode. A node is FailedOver only when attach-detach has seen that its
// volumes are detached, which may take that a minute.
func expectState(ctx context.Context, node string, state storagev1alpha1.HealthState) *storagev1alpha1.StorageNode {
	GinkgoHelper()
	var object *storagev1alpha1.StorageNode
	Eventually(func(g Gomega) {
		object = storageNode(ctx, g, node)
		g.Expect(object.Status.State).To(Equal(state), object.Status.Message)
	}).WithContext(ctx).WithTimeout(detachPatience).Should(Succeed())
	return object
}

// expectLeft waits until the StorageNode says that a pod is left on the node for that reason, and returns what it says.
func expectLeft(ctx context.Context, pod *corev1.Pod, reason string) string {
	GinkgoHelper()
	var message string
	Eventually(func(g Gomega) {
		over := storageNode(ctx, g, pod.Spec.NodeName).Status.Failover
		g.Expect(over).NotTo(BeNil())
		i := slices.IndexFunc(over.Pods, func(p storagev1alpha1.PodOnNode) bool { return p.UID == string(pod.UID) })
		g.Expect(i).To(BeNumerically(">=", 0), "pods %v", over.Pods)
		g.Expect(over.Pods[i].Reason).To(Equal(reason), over.Pods[i].Message)
		message = over.Pods[i].Message
	}).WithContext(ctx).Should(Succeed())
	return message
}

// dataNodes are the nodes with an in-sync replica of the pod's volume.
func (s *scene) dataNodes(ctx context.Context, pod *corev1.Pod) []string {
	GinkgoHelper()
	handle := s.volume(ctx, pod).Spec.CSI.VolumeHandle
	var nodes []string
	Eventually(func(g Gomega) {
		var topologies storagev1alpha1.VolumeTopologyList
		g.Expect(s.client.List(ctx, &topologies)).To(Succeed())
		nodes = nil
		for i := range topologies.Items {
			for _, replica := range topologies.Items[i].Status.Replicas {
				if topologies.Items[i].Spec.VolumeHandle == handle && replica.State == storagev1alpha1.ReplicaInSync {
					nodes = append(nodes, replica.NodeName)
				}
			}
		}
		g.Expect(nodes).NotTo(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
	return nodes
}

// volume is the PersistentVolume of the pod's claim.
func (s *scene) volume(ctx context.Context, pod *corev1.Pod) *corev1.PersistentVolume {
	GinkgoHelper()
	i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil })
	claim := &corev1.PersistentVolumeClaim{}
	key := client.ObjectKey{Namespace: pod.Namespace, Name: pod.Spec.Volumes[i].PersistentVolumeClaim.ClaimName}
	Expect(s.client.Get(ctx, key, claim)).To(Succeed())
	pv := &corev1.PersistentVolume{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, pv)).To(Succeed())
	return pv
}

// attachments are those of a PersistentVolume, by node.
func attachments(ctx context.Context, g Gomega, pv string) map[string]storagev1.VolumeAttachment {
	var list storagev1.VolumeAttachmentList
	g.Expect(box.Client.List(ctx, &list)).To(Succeed())
	found := map[string]storagev1.VolumeAttachment{}
	for _, attachment := range list.Items {
		if name := attachment.Spec.Source.PersistentVolumeName; name != nil && *name == pv {
			found[attachment.Spec.NodeName] = attachment
		}
	}
	return found
}

// expectEvent waits for an event with that reason about an object of that name, and returns what it says.
func expectEvent(ctx context.Context, namespace, name, reason string) string {
	GinkgoHelper()
	var note string
	Eventually(func(g Gomega) {
		var list eventsv1.EventList
		g.Expect(box.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		i := slices.IndexFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Name == name && e.Reason == reason })
		g.Expect(i).To(BeNumerically(">=", 0), "no event %s of %s", reason, name)
		note = strings.TrimSpace(list.Items[i].Note)
	}).WithContext(ctx).Should(Succeed())
	return note
}
