// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"roost.dev/roost/internal/sandbox"
)

const (
	// kubeScheduler is who the scheduler of a control plane is, and the name of its lease.
	kubeScheduler, kubeSchedulerLease = "system:kube-scheduler", "kube-scheduler"

	defaultProfile, twoProfiles = "default-profile.yaml", "two-profiles.yaml"
)

var _ = Describe("Roost as a second scheduler", func() {
	It("runs the example beside its data", func(ctx SpecContext) {
		s := newSpace(ctx, shared)
		class := &storagev1.StorageClass{}
		Expect(s.client.Get(ctx, client.ObjectKey{Name: sandbox.StorageClass}, class)).To(Succeed())
		class.ObjectMeta = metav1.ObjectMeta{Name: "replicated"}
		s.createForSpec(ctx, class)
		for _, manifest := range manifestsIn(filepath.Join(manifestsDir(), "examples", "second-scheduler.yaml")) {
			s.create(ctx, objectOf(manifest))
		}
		for _, pod := range s.waitForRunning(ctx, 3) {
			Expect(s.reporters(ctx, pod.Name)).To(ConsistOf(roost))
			Expect(s.volumeOf(ctx, "data-"+pod.Name).dataNodes).To(ContainElement(pod.Spec.NodeName))
		}
	})
})

var _ = Describe("Roost in place of kube-scheduler", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("places all pods as the default scheduler, and those with a volume beside their data", func(ctx SpecContext) {
		runInControlPlane(ctx, defaultProfile)
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		node := s.run(ctx, "pod", naming(""), using(v.claim), preferring(without(allNodes(), v.dataNodes)))
		Expect(v.dataNodes).To(ContainElement(node))
		s.run(ctx, "without-volumes", naming(""))
		for _, pod := range []string{"pod", "without-volumes"} {
			Expect(s.reporters(ctx, pod)).To(ConsistOf(stock))
		}
	}, NodeTimeout(startTimeout))

	It("has two profiles in one process, and the policy chooses between them", func(ctx SpecContext) {
		applyChoice(ctx, shared)
		enabled := newSpace(ctx, shared)
		label(ctx, shared, enabled.namespace, "Enabled")
		awaitChoice(ctx, shared)
		runInControlPlane(ctx, twoProfiles)
		for space, wantLocal := range map[*space]bool{s: false, enabled: true} {
			v := space.provision(ctx, "data", sandbox.NodeName(0))
			node := space.run(ctx, "pod", naming(""), using(v.claim), preferring(without(allNodes(), v.dataNodes)))
			Expect(node == v.dataNodes[0] || node == v.dataNodes[1]).To(Equal(wantLocal))
		}
		Expect(s.reporters(ctx, "pod")).To(ConsistOf(stock))
		Expect(enabled.reporters(ctx, "pod")).To(ConsistOf(roost))
	}, NodeTimeout(startTimeout))

	It("waits while the stock kube-scheduler of another node leads", func(ctx SpecContext) {
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: kubeSchedulerLease},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To("another node"), LeaseDurationSeconds: ptr.To(int32(3600))},
		}
		Expect(s.client.Create(ctx, lease)).To(Succeed())
		log := startInControlPlane(ctx, defaultProfile)
		s.create(ctx, newPod("pod", naming("")))
		Eventually(log).WithContext(ctx).Should(ContainSubstring("Failed to acquire lease"))
		Expect(s.pod(ctx, Default, "pod").Spec.NodeName).To(BeEmpty())
		Expect(s.client.Delete(ctx, lease)).To(Succeed())
		s.nodeOf(ctx, "pod")
	}, NodeTimeout(startTimeout))
})

// runInControlPlane runs our kube-scheduler in place of the shared sandbox's second scheduler, for the spec, and returns once
// it leads.
func runInControlPlane(ctx context.Context, example string) {
	GinkgoHelper()
	startInControlPlane(ctx, example)
	Eventually(func(g Gomega) {
		lease := &coordinationv1.Lease{}
		key := client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: kubeSchedulerLease}
		g.Expect(shared.Client.Get(ctx, key, lease)).To(Succeed())
		g.Expect(ptr.Deref(lease.Spec.HolderIdentity, "")).NotTo(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}

// startInControlPlane starts it as kubeadm does, as the user that the stock one is, with what an example configures and what the
// manifests for the control plane give. It returns what reads its log.
func startInControlPlane(ctx context.Context, example string) func() string {
	GinkgoHelper()
	shared.StopScheduler()
	DeferCleanup(func(ctx SpecContext) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: kubeSchedulerLease}}
		Expect(client.IgnoreNotFound(shared.Client.Delete(ctx, lease))).To(Succeed())
		Expect(shared.StartScheduler(ctx, "")).To(Succeed())
	}, NodeTimeout(startTimeout))
	applyControlPlaneRoles(ctx)
	dir := GinkgoT().TempDir()
	kubeconfig, config, log := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "config.yaml"), filepath.Join(dir, "log")
	Expect(clientcmd.WriteToFile(*kubeconfigAs(kubeScheduler), kubeconfig)).To(Succeed())
	content, err := os.ReadFile(filepath.Join(manifestsDir(), "examples", example))
	Expect(err).NotTo(HaveOccurred())
	content = bytes.ReplaceAll(content, []byte("/etc/kubernetes/scheduler.conf"), []byte(kubeconfig))
	Expect(os.WriteFile(config, content, 0o600)).To(Succeed())
	runScheduler(log, "--config="+config, "--kubeconfig=/etc/kubernetes/scheduler.conf", "--leader-elect=true", "--secure-port=0", "--v=4")
	return func() string {
		content, err := os.ReadFile(log)
		Expect(err).NotTo(HaveOccurred())
		return string(content)
	}
}

// runScheduler runs our kube-scheduler until the spec ends. It gives the lease back then, and must not have asked for what
// it may not do.
func runScheduler(log string, args ...string) {
	GinkgoHelper()
	output, err := os.Create(log)
	Expect(err).NotTo(HaveOccurred())
	command := exec.Command(filepath.Join(binDir(), "kube-scheduler"), args...)
	command.Stdout, command.Stderr = output, output
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		defer output.Close()
		Expect(command.Process.Signal(os.Interrupt)).To(Succeed(), "it has ended by itself")
		_ = command.Wait()
		content, err := os.ReadFile(log)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("log of kube-scheduler", string(content), ReportEntryVisibilityFailureOrVerbose)
		Expect(linesWith(string(content), "forbidden: user")).To(BeEmpty())
	})
}

// kubeconfigAs is the administrator's kubeconfig, acting as somebody else.
func kubeconfigAs(user string) *clientcmdapi.Config {
	GinkgoHelper()
	kubeconfig, err := clientcmd.LoadFromFile(shared.Kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	for _, auth := range kubeconfig.AuthInfos {
		auth.Impersonate = user
	}
	return kubeconfig
}

// applyControlPlaneRoles applies those of the objects that `kubectl apply -k` would which are about what the scheduler may do.
func applyControlPlaneRoles(ctx context.Context) {
	GinkgoHelper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(manifestsDir(), "examples", "control-plane"))
	Expect(err).NotTo(HaveOccurred())
	applied := 0
	for _, resource := range built.Resources() {
		if !strings.HasPrefix(resource.GetName(), "roost-scheduler") || !strings.HasPrefix(resource.GetKind(), "ClusterRole") {
			continue
		}
		content, err := resource.Map()
		Expect(err).NotTo(HaveOccurred())
		object := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
		Expect(shared.Client.Apply(ctx, object, client.FieldOwner("spec"), client.ForceOwnership)).To(Succeed())
		applied++
	}
	Expect(applied).To(Equal(2), "a role and its binding")
}

// reporters are the schedulers that say that they have bound the pod.
func (s *space) reporters(ctx context.Context, pod string) []string {
	GinkgoHelper()
	var names []string
	for _, event := range s.events(ctx, pod, reasonScheduled) {
		names = append(names, event.ReportingController)
	}
	return names
}
