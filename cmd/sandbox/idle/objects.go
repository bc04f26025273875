// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"crypto/sha256"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

const namespace = "idle"

// placed is a claim on its node, with all that belongs to it. Names are as long as in a real cluster.
type placed struct {
	// name is the claim's and the pod's.
	name string
	// handle is the volume's in the storage system, and the name of its PersistentVolume.
	handle string
	// nodes have a replica each. The pod runs on the first.
	nodes []string
}

// place says where the claim with that index is: the nodes take turns.
func place(index int, opts Options) placed {
	p := placed{
		name:   fmt.Sprintf("%s-%d", workload.Name, index),
		handle: fmt.Sprintf("pvc-00000000-0000-0000-0000-%012d", index),
	}
	for i := range replicas {
		p.nodes = append(p.nodes, sandbox.NodeName((index+i)%opts.Nodes))
	}
	return p
}

func (p *placed) node() string { return p.nodes[0] }

func (p *placed) claim() *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "data-" + p.name, Labels: map[string]string{"app": workload.Name}},
		Spec:       workload.ClaimSpec(),
	}
	claim.Spec.VolumeName = p.handle
	return claim
}

func (p *placed) volume(claim types.UID) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        p.handle,
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": sandbox.Provisioner},
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              sandbox.StorageClass,
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: "data-" + p.name, UID: claim},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: sandbox.Provisioner, VolumeHandle: p.handle, FSType: "ext4",
			}},
		},
	}
}

func (p *placed) topology() *storagev1alpha1.VolumeTopology {
	topology := &storagev1alpha1.VolumeTopology{
		ObjectMeta: metav1.ObjectMeta{Name: sandbox.Provisioner + "-" + p.handle},
		Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: sandbox.Provisioner, VolumeHandle: p.handle},
		Status:     storagev1alpha1.VolumeTopologyStatus{AttachedNodes: []string{p.node()}},
	}
	for _, node := range p.nodes {
		topology.Status.Replicas = append(topology.Status.Replicas,
			storagev1alpha1.VolumeReplica{NodeName: node, State: storagev1alpha1.ReplicaInSync})
	}
	return topology
}

// attachment has the name that kube-controller-manager would give it, which finds it and makes none.
func (p *placed) attachment() *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("csi-%x", sha256.Sum256([]byte(p.handle+sandbox.Provisioner+p.node())))},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: sandbox.Provisioner, NodeName: p.node(),
			Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To(p.handle)},
		},
		Status: storagev1.VolumeAttachmentStatus{Attached: true},
	}
}

// pod is on its node from the beginning; no scheduler is asked.
func (p *placed) pod() *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: p.name, Labels: map[string]string{"app": workload.Name}},
		Spec:       workload.PodSpec(sandbox.SchedulerName),
	}
	pod.Spec.NodeName = p.node()
	pod.Spec.Volumes = []corev1.Volume{{
		Name: pod.Spec.Containers[0].VolumeMounts[0].Name,
		VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-" + p.name},
		},
	}}
	return pod
}
