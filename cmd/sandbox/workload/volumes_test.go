// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

func in(objects ...client.Object) Workload {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(storagev1alpha1.AddToScheme(scheme))
	return Workload{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), Namespace: "here"}
}

func claim(namespace, volume string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "data-db-0"},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume},
	}
}

func persistentVolume(driver string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "vol-1"},
		}},
	}
}

// topology has copies that are in sync on the nodes, and one on node x that is not.
func topology(provisioner string, nodes ...string) *storagev1alpha1.VolumeTopology {
	object := &storagev1alpha1.VolumeTopology{
		ObjectMeta: metav1.ObjectMeta{Name: "topology"},
		Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: provisioner, VolumeHandle: "vol-1"},
	}
	for _, node := range nodes {
		object.Status.Replicas = append(object.Status.Replicas, storagev1alpha1.VolumeReplica{NodeName: node, State: storagev1alpha1.ReplicaInSync})
	}
	object.Status.Replicas = append(object.Status.Replicas, storagev1alpha1.VolumeReplica{NodeName: "x", State: storagev1alpha1.ReplicaRebuilding})
	return object
}

func TestVolumes(t *testing.T) {
	got, err := in(claim("here", "pv"), claim("elsewhere", "none"), persistentVolume(sandbox.Provisioner), topology(sandbox.Provisioner, "b", "a")).
		Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Volume{"data-db-0": {Name: "pv", Handle: "vol-1", Nodes: []string{"a", "b"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Volumes() (-want +got):\n%s", diff)
	}
}

func TestVolumesOfWhichNothingCanBeSaid(t *testing.T) {
	for name, objects := range map[string][]client.Object{
		"a claim that is not bound":             {claim("here", "")},
		"a volume of another driver":            {claim("here", "pv"), persistentVolume("other.example.com"), topology(sandbox.Provisioner, "a")},
		"a volume without a topology":           {claim("here", "pv"), persistentVolume(sandbox.Provisioner)},
		"a topology of another driver's volume": {claim("here", "pv"), persistentVolume(sandbox.Provisioner), topology("other.example.com", "a")},
		"no copy that is in sync":               {claim("here", "pv"), persistentVolume(sandbox.Provisioner), topology(sandbox.Provisioner)},
	} {
		t.Run(name, func(t *testing.T) {
			const want = "claim here/data-db-0 has no volume with an in-sync replica"
			if _, err := in(objects...).Volumes(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Volumes() = %v, want an error that contains %q", err, want)
			}
		})
	}
}
