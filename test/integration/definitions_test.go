// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

// noticed is how long the scheduler may take to see that our definitions came or went. It looks every five seconds.
const noticed = 15 * time.Second

var _ = Describe("A cluster without Roost's definitions", func() {
	It("is scheduled as by the stock scheduler, until they come, and again when they are gone", func(ctx SpecContext) {
		box := startSandbox(ctx, sandbox.Options{
			Nodes:   sandbox.Nodes{Count: nodeCount, Zones: zoneCount, Racks: rackCount, CPU: resource.MustParse(nodeCPU)},
			Without: sets.New(sandbox.StockScheduler, sandbox.RoostCRDs),
		})
		s := newSpace(ctx, box)

		By("placing pods while the definitions are missing")
		v := s.provisionUnpublished(ctx, "data", sandbox.NodeName(0))
		s.fill(ctx, nearlyFull, v.dataNodes)
		s.run(ctx, "plain")
		Expect(v.dataNodes).NotTo(ContainElement(s.run(ctx, "pod", using(v.claim))))

		By("installing them")
		Expect(box.InstallRoostCRDs()).To(Succeed())
		s.expectNoticed(ctx, v, true)

		By("deleting them")
		s.deleteDefinitions(ctx)
		s.expectNoticed(ctx, v, false)
		s.run(ctx, "plain-too")
		Expect(s.pend(ctx, "requiring", using(v.claim), annotated(volumelocality.Required))).To(ContainSubstring(notKnown))
	}, NodeTimeout(startTimeout))
})

// provisionUnpublished has a claim provisioned, and asks simstorage itself where the volume is.
func (s *space) provisionUnpublished(ctx context.Context, name, node string) volume {
	GinkgoHelper()
	claim := newClaim(name, sandbox.StorageClass)
	claim.Annotations[storagehelpers.AnnSelectedNode] = node
	s.create(ctx, claim)
	pv := s.boundVolume(ctx, name)
	v := volume{claim: name, pv: pv.Name, handle: pv.Spec.CSI.VolumeHandle}
	volumes, err := s.box.Sim.Volumes(ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, candidate := range volumes {
		for _, replica := range candidate.Replicas {
			if candidate.Handle == v.handle {
				v.dataNodes = append(v.dataNodes, replica.Node)
			}
		}
	}
	Expect(v.dataNodes).To(HaveLen(2))
	return v
}

// expectNoticed creates a pod again and again, until it lands on a data node, or on another one.
func (s *space) expectNoticed(ctx context.Context, v volume, local bool) {
	GinkgoHelper()
	Eventually(func() bool {
		pod := newPod("", generated("pod-"), using(v.claim))
		s.create(ctx, pod)
		defer s.deletePod(ctx, pod.Name)
		return slices.Contains(v.dataNodes, s.nodeOf(ctx, pod.Name))
	}).WithContext(ctx).WithTimeout(noticed).Should(Equal(local))
}

// deleteDefinitions deletes Roost's definitions and all of their objects.
func (s *space) deleteDefinitions(ctx context.Context) {
	GinkgoHelper()
	for _, name := range []string{"volumetopologies", "storagereports"} {
		definition := &unstructured.Unstructured{}
		definition.SetAPIVersion("apiextensions.k8s.io/v1")
		definition.SetKind("CustomResourceDefinition")
		definition.SetName(name + "." + storagev1alpha1.GroupVersion.Group)
		Expect(s.client.Delete(ctx, definition)).To(Succeed())
		Eventually(func() error {
			return s.client.Get(ctx, client.ObjectKeyFromObject(definition), definition)
		}).WithContext(ctx).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
	}
}
