// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

// volume is a provisioned volume of simstorage, with its claim.
type volume struct {
	claim, pv, handle string
	// dataNodes have a replica.
	dataNodes []string
}

// newClaim is a claim of a class; the empty class is none.
func newClaim(name, class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: ptr.To(class),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
}

// newClass makes a class for the spec, like that of the sandbox but for what is given.
func (s *space) newClass(ctx context.Context, policy volumelocality.Policy) *storagev1.StorageClass {
	GinkgoHelper()
	class := &storagev1.StorageClass{}
	Expect(s.client.Get(ctx, client.ObjectKey{Name: sandbox.StorageClass}, class)).To(Succeed())
	class.ObjectMeta = metav1.ObjectMeta{GenerateName: "spec-"}
	if policy != "" {
		class.Annotations = map[string]string{volumelocality.PolicyAnnotation: string(policy)}
	}
	s.createForSpec(ctx, class)
	return class
}

// provision makes a volume of the sandbox's class, with one replica on the node and one in another zone.
func (s *space) provision(ctx context.Context, claim, node string) volume {
	GinkgoHelper()
	return s.provisionOf(ctx, newClaim(claim, sandbox.StorageClass), node)
}

// provisionOf has a claim provisioned as if a scheduler had chosen the node, and returns once it is published.
func (s *space) provisionOf(ctx context.Context, claim *corev1.PersistentVolumeClaim, node string) volume {
	GinkgoHelper()
	claim.Annotations[storagehelpers.AnnSelectedNode] = node
	s.create(ctx, claim)
	v := s.volumeOf(ctx, claim.Name)
	Expect(v.dataNodes).To(ContainElement(node))
	return v
}

// volumeOf waits until a claim is bound and its volume's replicas are published.
func (s *space) volumeOf(ctx context.Context, claim string) volume {
	GinkgoHelper()
	pv := s.boundVolume(ctx, claim)
	v := volume{claim: claim, pv: pv.Name, handle: pv.Spec.CSI.VolumeHandle}
	Eventually(func(g Gomega) {
		v.dataNodes = s.inSync(ctx, g, v.handle)
		g.Expect(v.dataNodes).To(HaveLen(2))
	}).WithContext(ctx).Should(Succeed())
	return v
}

// boundVolume waits until a claim is bound.
func (s *space) boundVolume(ctx context.Context, claim string) *corev1.PersistentVolume {
	GinkgoHelper()
	pvc, pv := &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}
	Eventually(func(g Gomega) {
		g.Expect(s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: claim}, pvc)).To(Succeed())
		g.Expect(pvc.Status.Phase).To(Equal(corev1.ClaimBound))
		g.Expect(s.client.Get(ctx, client.ObjectKey{Name: pvc.Spec.VolumeName}, pv)).To(Succeed())
	}).WithContext(ctx).Should(Succeed())
	return pv
}

// bindByHand makes a PersistentVolume with that source, and a claim that is bound to it.
func (s *space) bindByHand(ctx context.Context, claim string, source corev1.PersistentVolumeSource, nodes ...string) {
	GinkgoHelper()
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        source,
			NodeAffinity:                  hostnameIn(nodes),
		},
	}
	s.createForSpec(ctx, pv)
	bound := newClaim(claim, "")
	bound.Spec.VolumeName = pv.Name
	s.create(ctx, bound)
	Expect(s.boundVolume(ctx, claim).Name).To(Equal(pv.Name))
}

// hostnameIn lets a volume be mounted on the nodes; without any, everywhere.
func hostnameIn(nodes []string) *corev1.VolumeNodeAffinity {
	if len(nodes) == 0 {
		return nil
	}
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: nodes,
		}},
	}}}}
}

// csiSource is a volume of a CSI driver.
func csiSource(driver, handle string) corev1.PersistentVolumeSource {
	return corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle}}
}
