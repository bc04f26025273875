// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
)

var _ = Describe("Pods on a node whose storage failed", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("stay where they may not be moved, each with its reason and until that is gone, and hinder none that may", func(ctx SpecContext) {
		sick := sandbox.NodeName(3)
		s.bindByHand(ctx, "local", sick, corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}})
		pods := s.together(ctx, sick, map[string][]setOption{
			"plain": nil,
			"scratch": {besides(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
				besides(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}})},
			"only-copy":    nil,
			"budgeted":     nil,
			"beside-local": {besides(usesClaim("local"))},
			"pod-says":     {annotated("Disabled")},
			"claim-says":   {annotatedClaims("Disabled")},
			"class-says":   {inClass(s.disabledClass(ctx))},
			"misspelt":     {annotated("disabled")},
		})
		budget := s.forbid(ctx, "budgeted")
		volume := s.volume(ctx, pods["only-copy"]).Spec.CSI.VolumeHandle
		for _, node := range s.dataNodes(ctx, pods["only-copy"]) {
			if node != sick {
				Expect(box.Sim.LoseReplica(ctx, volume, node)).To(Succeed())
			}
		}
		failStorage(ctx, sick)

		By("moving those that can run elsewhere")
		s.expectMoves(ctx, pods["plain"])
		s.expectMoves(ctx, pods["scratch"])
		By("saying of each of the others why it stays")
		var stay []*corev1.Pod
		for name, want := range map[string]struct{ reason, text string }{
			"only-copy":    {candidates.OnlyCopy, "its only copy on " + sick},
			"budgeted":     {failover.DisruptionBudget, "PodDisruptionBudget"},
			"beside-local": {candidates.PinnedVolume, "local"},
			"pod-says":     {candidates.FailoverDisabled, "of the pod"},
			"claim-says":   {candidates.FailoverDisabled, "of claim data-claim-says-0"},
			"class-says":   {candidates.FailoverDisabled, "of StorageClass " + s.namespace},
			"misspelt":     {candidates.BadAnnotation, `"disabled"`},
		} {
			Expect(expectLeft(ctx, pods[name], want.reason)).To(ContainSubstring(want.text))
			expectNote(ctx, s.namespace, pods[name].Name, want.reason, want.text)
			stay = append(stay, pods[name])
		}
		s.expectAllStay(ctx, specPause, stay...)
		failing := expectState(ctx, sick, storagev1alpha1.HealthUnhealthy) // as the budget may allow it any moment
		Expect(failing.Status.Failover.Moved).To(BeEquivalentTo(2))
		Expect(failing.Status.Failover.Refused).To(BeEquivalentTo(7))

		By("moving those whose reason is gone")
		Expect(box.Sim.SetReplicaState(ctx, volume, sandbox.NodeName(8), storagev1alpha1.ReplicaInSync)).To(Succeed())
		s.change(ctx, budget, func() { budget.Spec.MaxUnavailable = ptr.To(intstr.FromInt32(1)) })
		s.setFailover(ctx, pods["misspelt"], "Enabled")
		s.setFailover(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "data-claim-says-0"}}, "Enabled")
		for _, name := range []string{"only-copy", "budgeted", "misspelt", "claim-says"} {
			s.expectMoves(ctx, pods[name])
		}
		failing = expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
		Expect(failing.Status.Failover.Moved).To(BeEquivalentTo(6))
		Expect(failing.Status.Failover.Refused).To(BeEquivalentTo(3))
		s.expectAllStay(ctx, poll, pods["beside-local"], pods["pod-says"], pods["class-says"])
	}, SpecTimeout(specTimeout))

	It("are left alone where they belong to the node, to nobody or to another driver, or are done", func(ctx SpecContext) {
		sick := sandbox.NodeName(7)
		s.bindByHand(ctx, "foreign", "", corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: otherDriver, VolumeHandle: s.namespace}})
		for _, name := range []string{"daemon", "static", "bare", "done"} {
			s.claim(ctx, name, sick)
		}
		pods := s.together(ctx, sick, map[string][]setOption{
			"plain": nil, "stateless": {withoutClaims}, "foreign": {withoutClaims, besides(usesClaim("foreign"))},
		})
		daemon := template("daemon", "", "daemon")
		daemon.Spec.SchedulerName = sandbox.SchedulerName
		daemon.Spec.NodeSelector = map[string]string{corev1.LabelHostname: sick}
		Expect(s.client.Create(ctx, &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "daemon"},
			Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: daemon.Labels}, Template: daemon},
		})).To(Succeed())
		done := template("done", sick, "done")
		done.Spec.RestartPolicy = corev1.RestartPolicyNever
		Expect(s.client.Create(ctx, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "done"}, Spec: batchv1.JobSpec{Template: done},
		})).To(Succeed())
		pods["daemon"] = s.podOf(ctx, "daemon", corev1.PodRunning)
		pods["done"] = s.podOf(ctx, "done", corev1.PodSucceeded)
		pods["bare"] = s.bare(ctx, "bare", sick, nil)
		pods["static"] = s.bare(ctx, "static", sick, map[string]string{corev1.MirrorPodAnnotationKey: "file"})
		foreign := s.attachedTo(ctx, pods["foreign"])
		failStorage(ctx, sick)

		s.expectMoves(ctx, pods["plain"])
		expectLeft(ctx, pods["daemon"], candidates.DaemonSetPod)
		expectLeft(ctx, pods["static"], candidates.StaticPod)
		expectLeft(ctx, pods["bare"], candidates.NotControlled)
		Expect(expectState(ctx, sick, storagev1alpha1.HealthFailedOver).Status.Failover.Refused).To(BeEquivalentTo(3))
		s.expectAllStay(ctx, specPause, pods["stateless"], pods["foreign"], pods["daemon"], pods["static"], pods["bare"], pods["done"])
		left := s.attachedTo(ctx, pods["foreign"])
		Expect(left.UID).To(Equal(foreign.UID))
		Expect(left.DeletionTimestamp).To(BeNil())
	}, SpecTimeout(specTimeout))
})
