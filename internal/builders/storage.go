// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package builders

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Namespace is where all namespaced objects of this package are.
const Namespace = "default"

// Claim builds a PersistentVolumeClaim.
type Claim struct{ corev1.PersistentVolumeClaim }

// MakeClaim returns an unbound claim of 1 GiB, whose UID is its name.
func MakeClaim(name string) *Claim {
	return &Claim{corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: types.UID(name)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}}
}

// Class sets the StorageClass.
func (c *Claim) Class(name string) *Claim {
	c.Spec.StorageClassName = &name
	return c
}

// BoundTo binds the claim to a PersistentVolume.
func (c *Claim) BoundTo(pv string) *Claim {
	c.Spec.VolumeName = pv
	c.Status.Phase = corev1.ClaimBound
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
	return c
}

// Annotation sets an annotation.
func (c *Claim) Annotation(key, value string) *Claim {
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, value)
	return c
}

// OwnedBy makes a pod the claim's controller, as for a generic ephemeral volume.
func (c *Claim) OwnedBy(pod *corev1.Pod) *Claim {
	c.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(pod, corev1.SchemeGroupVersion.WithKind("Pod"))}
	return c
}

// Deleting sets the time of the claim's deletion.
func (c *Claim) Deleting(at metav1.Time) *Claim {
	c.DeletionTimestamp = &at
	c.Finalizers = []string{"kubernetes.io/pvc-protection"}
	return c
}

// Obj returns the object.
func (c *Claim) Obj() *corev1.PersistentVolumeClaim {
	return &c.PersistentVolumeClaim
}

// PV builds a PersistentVolume.
type PV struct{ corev1.PersistentVolume }

// MakePV returns a PersistentVolume of 1 GiB without a source.
func MakePV(name string) *PV {
	return &PV{corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		},
	}}
}

// CSI sets a CSI source.
func (p *PV) CSI(driver, handle string) *PV {
	p.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle}
	return p
}

// Source sets any source.
func (p *PV) Source(source corev1.PersistentVolumeSource) *PV {
	p.Spec.PersistentVolumeSource = source
	return p
}

// Capacity sets the size.
func (p *PV) Capacity(size string) *PV {
	p.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	return p
}

// OnNodes sets a node affinity to the nodes with these hostnames.
func (p *PV) OnNodes(hostnames ...string) *PV {
	p.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: hostnames}},
	}}}}
	return p
}

// ClaimedBy sets the reference to a claim of MakeClaim.
func (p *PV) ClaimedBy(claim string) *PV {
	p.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: Namespace, Name: claim, UID: types.UID(claim)}
	return p
}

// Obj returns the object.
func (p *PV) Obj() *corev1.PersistentVolume {
	return &p.PersistentVolume
}

// MakeClass returns a StorageClass with the binding mode.
func MakeClass(name string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: name},
		Provisioner:       "csi.example.com",
		VolumeBindingMode: &mode,
	}
}
