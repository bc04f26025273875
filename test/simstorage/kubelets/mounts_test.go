// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"roost.dev/roost/test/simstorage/cluster"
)

func TestMounts(t *testing.T) {
	readOnly := newPod("pod", "n1", "data")
	readOnly.Spec.Volumes[0].PersistentVolumeClaim.ReadOnly = true
	ephemeral := newPod("pod", "n1")
	ephemeral.Spec.Volumes = []corev1.Volume{
		{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want []cluster.Attach
	}{
		"a claim":                         {newPod("pod", "n1", "data"), []cluster.Attach{{Handle: "data", Node: "n1", Sharing: cluster.SingleNode}}},
		"a claim that is read only":       {readOnly, []cluster.Attach{{Handle: "data", Node: "n1", Sharing: cluster.SingleNode, ReadOnly: true}}},
		"an ephemeral volume":             {ephemeral, []cluster.Attach{{Handle: "pod-scratch", Node: "n1", Sharing: cluster.SingleNode}}},
		"a claim on another kind of disk": {newPod("pod", "n1", "local"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			for _, claim := range []string{"data", "pod-scratch", "local"} {
				bound, volume := boundClaim(claim, claim, corev1.ReadWriteOnce)
				if claim == "local" {
					volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{}}
				}
				h.put(bound)
				h.put(volume)
			}
			got, err := h.kubelet.mounts(trimPod(tc.pod))
			must(t, err)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharingOf(t *testing.T) {
	for name, tc := range map[string]struct {
		modes        []corev1.PersistentVolumeAccessMode
		want         cluster.Sharing
		wantReadOnly bool
	}{
		"one node":                    {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, cluster.SingleNode, false},
		"one pod":                     {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}, cluster.SingleNode, false},
		"many nodes":                  {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteMany}, cluster.Shared, false},
		"many readers":                {[]corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}, cluster.Shared, true},
		"many readers and one writer": {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadOnlyMany}, cluster.SingleWriter, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, readOnly := sharingOf(tc.modes)
			if got != tc.want || readOnly != tc.wantReadOnly {
				t.Errorf("sharing = %s, read-only %t, want %s, %t", got, readOnly, tc.want, tc.wantReadOnly)
			}
		})
	}
}

func TestTrim(t *testing.T) {
	large := map[string]string{"large": "value"}
	meta := metav1.ObjectMeta{Name: "o", UID: "u", ResourceVersion: "7", Labels: large, Annotations: large}
	pod := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c"}}}}
	want := metav1.ObjectMeta{Name: "o", UID: "u", ResourceVersion: "7"}
	for _, tc := range []struct{ object, want any }{
		{pod, &corev1.Pod{ObjectMeta: want, Spec: corev1.PodSpec{NodeName: "n"}}},
		{&corev1.Node{ObjectMeta: meta, Spec: corev1.NodeSpec{ProviderID: "p"}}, &corev1.Node{ObjectMeta: want}},
		{&corev1.PersistentVolume{ObjectMeta: meta}, &corev1.PersistentVolume{ObjectMeta: want}},
		{&corev1.PersistentVolumeClaim{ObjectMeta: meta}, &corev1.PersistentVolumeClaim{ObjectMeta: want}},
		{"something else", "something else"},
	} {
		got, err := trim(tc.object)
		must(t, err)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("trimmed (-want +got):\n%s", diff)
		}
	}
}
