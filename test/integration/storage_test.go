// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// inSync are the nodes on which the volume is published as in sync.
func (s *space) inSync(ctx context.Context, g Gomega, handle string) []string {
	var list storagev1alpha1.VolumeTopologyList
	g.Expect(s.client.List(ctx, &list)).To(Succeed())
	var nodes []string
	for _, topology := range list.Items {
		if topology.Spec.Provisioner != sandbox.Provisioner || topology.Spec.VolumeHandle != handle {
			continue
		}
		for _, replica := range topology.Status.Replicas {
			if replica.State == storagev1alpha1.ReplicaInSync {
				nodes = append(nodes, replica.NodeName)
			}
		}
	}
	return nodes
}

// setReplica changes a replica's state and waits until that is published.
func (s *space) setReplica(ctx context.Context, v volume, node string, state storagev1alpha1.ReplicaState) {
	GinkgoHelper()
	Expect(s.box.Sim.SetReplicaState(ctx, v.handle, node, state)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(s.inSync(ctx, g, v.handle)).NotTo(ContainElement(node))
	}).WithContext(ctx).Should(Succeed())
}

// setStorage changes how the storage on a node is, for the spec, and waits until that is published.
func (s *space) setStorage(ctx context.Context, node string, state storagev1alpha1.StorageState) {
	GinkgoHelper()
	set := func(ctx context.Context, state storagev1alpha1.StorageState) {
		GinkgoHelper()
		Expect(s.box.Sim.SetNodeState(ctx, node, state, "set by a spec")).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(s.reports(ctx, g)).To(HaveKeyWithValue(node, state))
		}).WithContext(ctx).Should(Succeed())
	}
	set(ctx, state)
	DeferCleanup(func(ctx SpecContext) { set(ctx, storagev1alpha1.StorageOnline) }, NodeTimeout(patience))
}

// reports are the published states of simstorage, by node.
func (s *space) reports(ctx context.Context, g Gomega) map[string]storagev1alpha1.StorageState {
	var list storagev1alpha1.StorageReportList
	g.Expect(s.client.List(ctx, &list)).To(Succeed())
	states := map[string]storagev1alpha1.StorageState{}
	for _, report := range list.Items {
		if report.Spec.Provisioner == sandbox.Provisioner && report.Status.State != "" {
			states[report.Spec.NodeName] = report.Status.State
		}
	}
	return states
}

// silence has simstorage say nothing any more, and takes back its reports, for the spec. That is what two minutes of
// silence come to.
func (s *space) silence(ctx context.Context) {
	GinkgoHelper()
	Expect(s.box.Sim.SetPublisher(ctx, true)).To(Succeed())
	DeferCleanup(s.endSilence, NodeTimeout(patience))
	Eventually(func(g Gomega) {
		g.Expect(s.client.DeleteAllOf(ctx, &storagev1alpha1.StorageReport{})).To(Succeed())
		g.Expect(s.reports(ctx, g)).To(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}

func (s *space) endSilence(ctx SpecContext) {
	GinkgoHelper()
	Expect(s.box.Sim.SetPublisher(ctx, false)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(s.reports(ctx, g)).To(HaveLen(nodeCount))
	}).WithContext(ctx).Should(Succeed())
}

// publish says where a volume of a storage system of the spec's own is, as its vendor would.
func (s *space) publish(ctx context.Context, provisioner, handle string, nodes ...string) *storagev1alpha1.VolumeTopology {
	GinkgoHelper()
	topology := &storagev1alpha1.VolumeTopology{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"},
		Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: provisioner, VolumeHandle: handle},
	}
	s.createForSpec(ctx, topology)
	for _, node := range nodes {
		topology.Status.Replicas = append(topology.Status.Replicas,
			storagev1alpha1.VolumeReplica{NodeName: node, State: storagev1alpha1.ReplicaInSync})
	}
	Expect(s.client.Status().Update(ctx, topology)).To(Succeed())
	report := &storagev1alpha1.StorageReport{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"},
		Spec:       storagev1alpha1.StorageReportSpec{Provisioner: provisioner, NodeName: sandbox.NodeName(0)},
	}
	s.createForSpec(ctx, report)
	report.Status = storagev1alpha1.StorageReportStatus{State: storagev1alpha1.StorageOnline, HeartbeatTime: metav1.NowMicro()}
	Expect(s.client.Status().Update(ctx, report)).To(Succeed())
	return topology
}
