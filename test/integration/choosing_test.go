// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
)

const (
	// schedulerLabel is Enabled on a namespace whose pods with claims go to Roost, and Disabled on a pod that does not.
	schedulerLabel = "roost.dev/scheduler"

	stock = sandbox.StockSchedulerName
	roost = sandbox.SchedulerName
)

// The namespaces of the table. All but one are labelled.
const (
	labelled        = "labelled"
	unlabelled      = "unlabelled"
	labelledOther   = "labelled with another value"
	labelledStorage = "longhorn-system"
)

var _ = Describe("The scheduler of a pod that is created", Ordered, ContinueOnFailure, func() {
	namespaces := map[string]string{}
	var s *space

	BeforeAll(func(ctx SpecContext) {
		applyChoice(ctx, shared)
		s = newSpace(ctx, shared)
		namespaces[labelled], namespaces[unlabelled], namespaces[labelledOther] = s.namespace, newSpace(ctx, shared).namespace, newSpace(ctx, shared).namespace
		ensureNamespace(ctx, shared, labelledStorage)
		label(ctx, shared, namespaces[labelledOther], "enabled")
		for _, name := range []string{labelledStorage, metav1.NamespaceSystem, "roost-system", s.namespace} {
			label(ctx, shared, name, "Enabled")
		}
		awaitChoice(ctx, shared)
	}, NodeTimeout(startTimeout))

	DescribeTable("is",
		func(ctx SpecContext, want, namespace string, options ...podOption) {
			pod := newPod("pod", append([]podOption{naming("")}, options...)...)
			pod.Namespace = namespace
			if generated, found := namespaces[namespace]; found {
				pod.Namespace = generated
			}
			Expect(shared.Client.Create(ctx, pod, client.DryRunAll)).To(Succeed())
			Expect(pod.Spec.SchedulerName).To(Equal(want))
		},
		Entry("Roost: with a claim, which need not exist", roost, labelled, using("later")),
		Entry("Roost: with a generic ephemeral volume", roost, labelled, ephemeral()),
		Entry("Roost: with a claim after 500 other volumes", roost, labelled, emptyDirs(500), using("data")),
		Entry("Roost: with the stock scheduler's name, which is what a pod without a name has", roost, labelled, using("data"), naming(stock)),
		Entry("Roost: with a label that opts in", roost, labelled, using("data"), labelling(schedulerLabel, "Enabled")),
		Entry("Roost: of a StatefulSet", roost, labelled, using("data"), ownedBy("StatefulSet")),
		Entry("Roost: of a priority of one's own", roost, labelled, using("data"), ranked(highPriority)),
		Entry("Roost: with a scheduling gate", roost, labelled, using("data"), gated),
		Entry("Roost's because it says so, without volumes", roost, unlabelled, naming(roost)),

		Entry("the stock one: without volumes", stock, labelled),
		Entry("the stock one: with volumes that are no claims", stock, labelled, emptyDirs(1), inlineCSI()),
		Entry("the stock one: in a namespace without the label", stock, unlabelled, using("data")),
		Entry("the stock one: in a namespace with another value", stock, labelledOther, using("data")),
		Entry("the stock one: opted out", stock, labelled, using("data"), labelling(schedulerLabel, "Disabled")),
		Entry("the stock one: opted out with a slip of the pen", stock, labelled, using("data"), labelling(schedulerLabel, "disbled")),
		Entry("the stock one: in kube-system", stock, metav1.NamespaceSystem, using("data")),
		Entry("the stock one: in roost-system", stock, "roost-system", using("data")),
		Entry("the stock one: in the namespace of a storage system", stock, labelledStorage, using("data")),
		Entry("the stock one: Roost's own, elsewhere", stock, labelled, using("data"), labelling("app.kubernetes.io/part-of", "roost")),
		Entry("the stock one: critical to the cluster", stock, labelled, using("data"), ranked("system-cluster-critical")),
		Entry("the stock one: critical to a node", stock, labelled, using("data"), ranked("system-node-critical")),
		Entry("the stock one: of a DaemonSet", stock, labelled, using("data"), ownedBy("DaemonSet")),
		Entry("the stock one: on a node already", stock, labelled, using("data"), on("node-000")),
		Entry("the stock one: of a gang", stock, labelled, using("data"), labelling("scheduling.x-k8s.io/pod-group", "gang")),
		Entry("another: named by the pod", "volcano", labelled, using("data"), naming("volcano")),
	)

	It("is all that is changed of the pod, whatever is in it", func(ctx SpecContext) {
		odd := func(pod *corev1.Pod) {
			container := &pod.Spec.Containers[0]
			container.Env = []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "2"}}
			container.Ports = []corev1.ContainerPort{{ContainerPort: 80}, {Name: "again", ContainerPort: 80}}
			no := false
			pod.Spec.AutomountServiceAccountToken = &no
		}
		specs := map[string]corev1.PodSpec{}
		for _, value := range []string{"Enabled", "Disabled"} {
			pod := newPod("pod", naming(""), using("data"), odd, labelling(schedulerLabel, value))
			pod.Namespace = s.namespace
			Expect(s.client.Create(ctx, pod, client.DryRunAll)).To(Succeed())
			specs[pod.Spec.SchedulerName] = pod.Spec
		}
		Expect(specs).To(And(HaveLen(2), HaveKey(roost), HaveKey(stock)))
		given := specs[roost]
		given.SchedulerName = stock
		Expect(given).To(Equal(specs[stock]))
	})

	It("is not changed by an update, which would be refused", func(ctx SpecContext) {
		s.create(ctx, newPod("pod", naming(""), using("data"), gated, labelling(schedulerLabel, "Disabled")))
		Eventually(func() error {
			pod := &corev1.Pod{}
			if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "pod"}, pod); err != nil {
				return err
			}
			delete(pod.Labels, schedulerLabel)
			return s.client.Update(ctx, pod)
		}).WithContext(ctx).Should(Succeed())
		Expect(s.pod(ctx, Default, "pod").Spec.SchedulerName).To(Equal(stock))
	})

	It("is Roost for the pods of a StatefulSet, which go to their data and come back to it", func(ctx SpecContext) {
		const replicas = 2
		set := newStatefulSet("db", replicas)
		set.Spec.Template.Spec.SchedulerName = ""
		s.create(ctx, set)
		s.waitForRunning(ctx, replicas)
		dataNodes := map[string][]string{}
		for i := range replicas {
			pod := fmt.Sprintf("db-%d", i)
			dataNodes[pod] = s.volumeOf(ctx, "data-"+pod).dataNodes
		}
		for _, pod := range s.recreate(ctx, replicas) {
			Expect(pod.Spec.SchedulerName).To(Equal(roost))
			Expect(dataNodes[pod.Name]).To(ContainElement(pod.Spec.NodeName), pod.Name)
		}
	})
})

// applyChoice applies, for as long as the caller's node lasts, the policy that gives pods with claims to Roost.
func applyChoice(ctx context.Context, box *sandbox.Sandbox) {
	GinkgoHelper()
	s := &space{box: box, client: box.Client}
	for _, manifest := range manifestsIn(filepath.Join(manifestsDir(), "components", "scheduler-choice", "policy.yaml")) {
		s.createForSpec(ctx, objectOf(manifest))
	}
}

// awaitChoice returns once the API server evaluates the policy and knows the labels that namespaces were given before. It learns of
// namespaces in their order, but for new ones, which it looks up; so it is asked about an old one, which is labelled last.
func awaitChoice(ctx context.Context, box *sandbox.Sandbox) {
	GinkgoHelper()
	label(ctx, box, metav1.NamespaceDefault, "Enabled")
	Eventually(func(g Gomega) {
		pod := newPod("probe", naming(""), using("data"))
		pod.Namespace = metav1.NamespaceDefault
		g.Expect(box.Client.Create(ctx, pod, client.DryRunAll)).To(Succeed())
		g.Expect(pod.Spec.SchedulerName).To(Equal(roost))
	}).WithContext(ctx).Should(Succeed())
}

// label sets our label of a namespace, and takes it away in the end.
func label(ctx context.Context, box *sandbox.Sandbox, name, value string) {
	GinkgoHelper()
	set := func(ctx context.Context, value string) error {
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, schedulerLabel, value)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		return box.Client.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	Expect(set(ctx, fmt.Sprintf("%q", value))).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(set(ctx, "null"))).To(Succeed())
	}, NodeTimeout(patience))
}

// ensureNamespace makes a namespace of that name. It stays, as one that is being deleted takes long to go.
func ensureNamespace(ctx context.Context, box *sandbox.Sandbox, name string) {
	GinkgoHelper()
	err := box.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	Expect(err == nil || apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
}

// naming sets the scheduler's name, or none.
func naming(scheduler string) podOption {
	return func(pod *corev1.Pod) { pod.Spec.SchedulerName = scheduler }
}

// labelling sets a label.
func labelling(key, value string) podOption {
	return func(pod *corev1.Pod) { metav1.SetMetaDataLabel(&pod.ObjectMeta, key, value) }
}

// ownedBy makes a pod that of a controller.
func ownedBy(kind string) podOption {
	return func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "owner", UID: "owner"}}
	}
}

// gated keeps a pod out of every scheduler's queue.
func gated(pod *corev1.Pod) {
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
}

// ephemeral gives a pod a volume whose claim is made with it.
func ephemeral() podOption {
	return func(pod *corev1.Pod) {
		claim := newClaim("", sandbox.StorageClass)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{
			Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim.Spec}},
		}})
	}
}

// emptyDirs gives a pod so many volumes that are no claims.
func emptyDirs(count int) podOption {
	return func(pod *corev1.Pod) {
		for i := range count {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
				Name: fmt.Sprintf("empty-%d", i), VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
			})
		}
	}
}

// inlineCSI gives a pod a volume of a CSI driver that lives and dies with it, without a claim.
func inlineCSI() podOption {
	return func(pod *corev1.Pod) {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
			Name: "inline", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: sandbox.Provisioner}},
		})
	}
}
