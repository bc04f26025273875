// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// fullPod is a pod as the API server sends it. With trimmed, it is what is left of it.
func fullPod(owner string, trimmed bool) *corev1.Pod {
	mounts := []corev1.VolumeMount{{Name: "data", ReadOnly: true}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "db-0", Namespace: "shop", UID: "1", Labels: map[string]string{"app": "db"},
			Annotations:     map[string]string{"roost.dev/failover": "Enabled"},
			OwnerReferences: []metav1.OwnerReference{{Kind: owner, Name: "db", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			NodeName: "node-1", Priority: new(int32(7)), TerminationGracePeriodSeconds: new(int64(40)),
			Volumes:             []corev1.Volume{{Name: "data"}},
			NodeSelector:        map[string]string{"disk": "fast"},
			Affinity:            &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}},
			Tolerations:         []corev1.Toleration{{Key: "k"}},
			InitContainers:      []corev1.Container{{Name: "init", VolumeMounts: mounts}},
			Containers:          []corev1.Container{{Name: "db", VolumeMounts: mounts, VolumeDevices: []corev1.VolumeDevice{{Name: "raw"}}}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", VolumeMounts: mounts}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, StartTime: &metav1.Time{},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	container := &pod.Spec.Containers[0]
	if owner == "DaemonSet" || !trimmed {
		container.Command, container.Args = []string{"sh"}, []string{"-c"}
		container.Env = []corev1.EnvVar{{Name: "SOCKET", Value: "/csi.sock"}}
	}
	if trimmed {
		return pod
	}
	container.Env = append(container.Env, corev1.EnvVar{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{}})
	container.Image, container.LivenessProbe = "db:1", &corev1.Probe{}
	container.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
	pod.Annotations[corev1.LastAppliedConfigAnnotation] = "{}"
	pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	pod.Spec.EphemeralContainers[0].Image = "busybox"
	pod.Spec.ServiceAccountName = "db"
	pod.Status.ContainerStatuses, pod.Status.PodIP = []corev1.ContainerStatus{{Name: "db"}}, "10.0.0.1"
	return pod
}

func TestTrim(t *testing.T) {
	tombstone := cache.DeletedFinalStateUnknown{Key: "shop/db-0", Obj: fullPod("StatefulSet", true)}
	tests := map[string]struct{ object, want any }{
		"a pod":               {object: fullPod("StatefulSet", false), want: fullPod("StatefulSet", true)},
		"a DaemonSet's pod":   {object: fullPod("DaemonSet", false), want: fullPod("DaemonSet", true)},
		"one trimmed already": {object: fullPod("DaemonSet", true), want: fullPod("DaemonSet", true)},
		"a pod that is gone":  {object: tombstone, want: tombstone},
		"a node with its images": {
			object: &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "node-1", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}},
				Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "k"}}},
				Status:     corev1.NodeStatus{Images: []corev1.ContainerImage{{}}, VolumesAttached: []corev1.AttachedVolume{{Name: "v"}}},
			},
			want: &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "node-1"},
				Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "k"}}},
				Status:     corev1.NodeStatus{VolumesAttached: []corev1.AttachedVolume{{Name: "v"}}},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := trim(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
		})
	}
}
