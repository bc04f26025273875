// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
)

// otherDriver is a CSI driver that is not simstorage's.
const otherDriver = "other.example.com"

// threeLooks is how long it is watched that nothing happens where the verdict is there already: the manager looks once a
// second at a node with pods to move.
const threeLooks = 3 * time.Second

// gigabyte is the size of every claim.
var gigabyte = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}

// together runs a database of each name on the node, and returns their first pods by name.
func (s *scene) together(ctx context.Context, node string, sets map[string][]setOption) map[string]*corev1.Pod {
	GinkgoHelper()
	for name, options := range sets {
		s.createDatabase(ctx, name, append(slices.Clone(options), onNode(node))...)
	}
	pods := map[string]*corev1.Pod{}
	for name := range sets {
		pods[name] = s.running(ctx, name+"-0", "")
		Expect(pods[name].Spec.NodeName).To(Equal(node), name)
	}
	return pods
}

// withoutClaims has no volume of ours.
func withoutClaims(set *appsv1.StatefulSet) { set.Spec.VolumeClaimTemplates = nil }

// besides adds a volume of another kind.
func besides(source corev1.VolumeSource) setOption {
	return func(set *appsv1.StatefulSet) {
		spec := &set.Spec.Template.Spec
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: fmt.Sprintf("besides-%d", len(spec.Volumes)), VolumeSource: source})
	}
}

// usesClaim is a volume of a claim that is there already.
func usesClaim(name string) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
}

// annotatedClaims sets roost.dev/failover on the claims.
func annotatedClaims(value string) setOption {
	return func(set *appsv1.StatefulSet) {
		metav1.SetMetaDataAnnotation(&set.Spec.VolumeClaimTemplates[0].ObjectMeta, candidates.Annotation, value)
	}
}

// annotated sets roost.dev/failover on the pods.
func annotated(value string) setOption { return annotatedPod(candidates.Annotation, value) }

// inClass has the claims be of another StorageClass.
func inClass(name string) setOption {
	return func(set *appsv1.StatefulSet) { set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = ptr.To(name) }
}

// onlyOn allows no other node.
func onlyOn(node string) setOption {
	return func(set *appsv1.StatefulSet) {
		set.Spec.Template.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	}
}

// apart has each pod on a node of its own.
func apart(set *appsv1.StatefulSet) {
	spec := &set.Spec.Template.Spec
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{LabelSelector: set.Spec.Selector, TopologyKey: corev1.LabelHostname}}}
}

// inGroup makes the pods members of a PodGroup.
func inGroup(name string) setOption {
	return func(set *appsv1.StatefulSet) { set.Spec.Template.Labels[schedulingv1alpha1.PodGroupLabel] = name }
}

// disabledClass is a copy of simstorage's class that says Disabled. It goes with the spec.
func (s *scene) disabledClass(ctx context.Context) string {
	GinkgoHelper()
	class := &storagev1.StorageClass{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: sandbox.StorageClass}, class)).To(Succeed())
	class.ObjectMeta = metav1.ObjectMeta{Name: s.namespace, Annotations: map[string]string{candidates.Annotation: "Disabled"}}
	s.createForSpec(ctx, class)
	return class.Name
}

// createForSpec creates an object that is in no namespace, and that goes with the spec.
func (s *scene) createForSpec(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(s.client.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(s.client.Delete(ctx, object))).To(Succeed())
	}, NodeTimeout(patience))
}

// claim makes a claim and has simstorage make its volume, with the first copy on the node.
func (s *scene) claim(ctx context.Context, name, node string) {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: map[string]string{
			"volume.kubernetes.io/selected-node": node, // what a scheduler writes for a claim's first pod
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: ptr.To(sandbox.StorageClass),
			Resources:        corev1.VolumeResourceRequirements{Requests: gigabyte},
		},
	}
	Expect(s.client.Create(ctx, claim)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
		g.Expect(claim.Status.Phase).To(Equal(corev1.ClaimBound))
	}).WithContext(ctx).Should(Succeed())
}

// bindByHand makes a claim that is bound to a volume made by hand. node is the only one with it, or empty for all.
func (s *scene) bindByHand(ctx context.Context, name, node string, source corev1.PersistentVolumeSource) {
	GinkgoHelper()
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: gigabyte, AccessModes: modes, PersistentVolumeSource: source,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: s.namespace, Name: name},
		},
	}
	if node != "" {
		pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}
	}
	s.createForSpec(ctx, pv)
	Expect(s.client.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes, StorageClassName: ptr.To(""), VolumeName: pv.Name,
			Resources: corev1.VolumeResourceRequirements{Requests: gigabyte}},
	})).To(Succeed())
}

// template is a pod on a node, of no scheduler, with the claim as its volume.
func template(name, node, claim string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			NodeName:   node,
			Containers: []corev1.Container{{Name: "main", Image: "main"}},
			Volumes:    []corev1.Volume{{Name: "data", VolumeSource: usesClaim(claim)}},
		},
	}
}

// bare runs a pod that nobody would make again on a node, with a claim of its own name.
func (s *scene) bare(ctx context.Context, name, node string, annotations map[string]string) *corev1.Pod {
	GinkgoHelper()
	made := template(name, node, name)
	pod := &corev1.Pod{ObjectMeta: made.ObjectMeta, Spec: made.Spec}
	pod.Namespace, pod.Name, pod.Annotations = s.namespace, name, annotations
	Expect(s.client.Create(ctx, pod)).To(Succeed())
	return s.running(ctx, name, "")
}

// podOf waits for the pod of that label in the phase.
func (s *scene) podOf(ctx context.Context, app string, phase corev1.PodPhase) *corev1.Pod {
	GinkgoHelper()
	var pod *corev1.Pod
	Eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(s.client.List(ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels{"app": app})).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(1))
		pod = &pods.Items[0]
		g.Expect(pod.Status.Phase).To(Equal(phase))
	}).WithContext(ctx).Should(Succeed())
	return pod
}

// forbid has a PodDisruptionBudget forbid every eviction of the database's pods, and returns when it is in force.
func (s *scene) forbid(ctx context.Context, name string) *policyv1.PodDisruptionBudget {
	GinkgoHelper()
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)),
			Selector:       &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
		},
	}
	Expect(s.client.Create(ctx, budget)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(budget), budget)).To(Succeed())
		g.Expect(budget.Status.ObservedGeneration).To(BeNumerically(">", 0))
	}).WithContext(ctx).Should(Succeed())
	return budget
}

// change changes an object as it is now.
func (s *scene) change(ctx context.Context, object client.Object, change func()) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		change()
		g.Expect(s.client.Update(ctx, object)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
}

// setFailover sets the annotation roost.dev/failover of an object.
func (s *scene) setFailover(ctx context.Context, object client.Object, value string) {
	GinkgoHelper()
	s.change(ctx, object, func() {
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[candidates.Annotation] = value
		object.SetAnnotations(annotations)
	})
}

// expectPending waits until the scheduler has found no node for the pod, and says so.
func (s *scene) expectPending(ctx context.Context, name, text string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pod := &corev1.Pod{}
		g.Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, pod)).To(Succeed())
		g.Expect(pod.Spec.NodeName).To(BeEmpty())
		i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled })
		g.Expect(i).To(BeNumerically(">=", 0))
		g.Expect(pod.Status.Conditions[i].Message).To(ContainSubstring(text))
	}).WithContext(ctx).Should(Succeed())
}

// expectAllStay is expectStays for many.
func (s *scene) expectAllStay(ctx context.Context, duration time.Duration, pods ...*corev1.Pod) {
	GinkgoHelper()
	Consistently(func(g Gomega) {
		var list corev1.PodList
		g.Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
		for _, pod := range pods {
			i := slices.IndexFunc(list.Items, func(p corev1.Pod) bool { return p.UID == pod.UID })
			g.Expect(i).To(BeNumerically(">=", 0), "pod %s is gone", pod.Name)
			g.Expect(list.Items[i].Spec.NodeName).To(Equal(pod.Spec.NodeName), pod.Name)
			g.Expect(list.Items[i].DeletionTimestamp).To(BeNil(), pod.Name)
		}
	}).WithContext(ctx).WithTimeout(duration).WithPolling(4 * poll).Should(Succeed())
}

// expectMoves waits until another pod of that name runs on another node, and returns it.
func (s *scene) expectMoves(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	moved := s.running(ctx, pod.Name, string(pod.UID))
	Expect(moved.Spec.NodeName).NotTo(Equal(pod.Spec.NodeName))
	return moved
}

// expectNote waits for an event with that reason about the object whose note contains the text.
func expectNote(ctx context.Context, namespace, name, reason, text string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var list eventsv1.EventList
		g.Expect(box.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		var notes []string
		for i := range list.Items {
			if list.Items[i].Regarding.Name == name && list.Items[i].Reason == reason {
				notes = append(notes, list.Items[i].Note)
			}
		}
		g.Expect(strings.Join(notes, "\n")).To(ContainSubstring(text))
	}).WithContext(ctx).Should(Succeed())
}

// expectBraked waits until a brake holds for the node, and returns what the condition says.
func expectBraked(ctx context.Context, node, reason string) string {
	GinkgoHelper()
	var message string
	Eventually(func(g Gomega) {
		status, found, said := condition(storageNode(ctx, g, node).Status.Conditions, "Braked")
		g.Expect(found).To(Equal(reason), said)
		g.Expect(status).To(Equal(metav1.ConditionTrue))
		message = said
	}).WithContext(ctx).Should(Succeed())
	return message
}

func condition(conditions []metav1.Condition, kind string) (status metav1.ConditionStatus, reason, message string) {
	for _, c := range conditions {
		if c.Type == kind {
			return c.Status, c.Reason, c.Message
		}
	}
	return "", "", ""
}

// metrics is what the manager serves now.
func metrics(ctx context.Context, g Gomega) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, box.Manager.MetricsURL(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// attachedTo waits for the attachment of the pod's first claim to its node.
func (s *scene) attachedTo(ctx context.Context, pod *corev1.Pod) *storagev1.VolumeAttachment {
	GinkgoHelper()
	var found storagev1.VolumeAttachment
	pv := s.volume(ctx, pod).Name
	Eventually(func(g Gomega) {
		attached, ok := attachments(ctx, g, pv)[pod.Spec.NodeName]
		g.Expect(ok).To(BeTrue())
		found = attached
	}).WithContext(ctx).Should(Succeed())
	return &found
}

// adopt has a ReplicaSet take the pod for its own, which would make another on a node that our scheduler chooses.
func (s *scene) adopt(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	made := template(pod.Name, "", pod.Name)
	made.Spec.SchedulerName = sandbox.SchedulerName
	Expect(s.client.Create(ctx, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: pod.Name},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](1), Template: made, Selector: &metav1.LabelSelector{MatchLabels: made.Labels},
		},
	})).To(Succeed())
}

// expectReplaced waits until the pod is gone and another with its labels runs, and returns that.
func (s *scene) expectReplaced(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	var other *corev1.Pod
	Eventually(func(g Gomega) {
		other = s.podOf(ctx, pod.Labels["app"], corev1.PodRunning)
		g.Expect(other.UID).NotTo(Equal(pod.UID))
	}).WithContext(ctx).Should(Succeed())
	return other
}

// evictions counts how often pods of that name were evicted.
func (s *scene) evictions(ctx context.Context, name string) int {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(s.client.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
	count := 0
	for i := range list.Items {
		if list.Items[i].Regarding.Name == name && list.Items[i].Reason == failover.EventEvicting {
			count++
		}
	}
	return count
}

// expectStorage waits until a StorageNode says that the storage system is in the state.
func expectStorage(ctx context.Context, node, state string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(storageNode(ctx, g, node).Status.StorageState).To(Equal(state))
	}).WithContext(ctx).Should(Succeed())
}

// failoverOf is when the last failover of the node began, empty where there was none. Earlier specs had theirs.
func failoverOf(ctx context.Context, node string) string {
	GinkgoHelper()
	var began string
	Eventually(func(g Gomega) {
		began = ""
		if over := storageNode(ctx, g, node).Status.Failover; over != nil {
			began = over.StartTime.String()
		}
	}).WithContext(ctx).Should(Succeed())
	return began
}
