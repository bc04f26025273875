// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package drivers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestVolumeOf(t *testing.T) {
	for name, tc := range map[string]struct {
		source corev1.PersistentVolumeSource
		want   VolumeID
		wantOK bool
	}{
		"CSI": {
			source: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.roost.dev", VolumeHandle: "handle"}},
			want:   VolumeID{Provisioner: "csi.roost.dev", Handle: "handle"},
			wantOK: true,
		},
		"local": {
			source: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disk"}},
			want:   VolumeID{Provisioner: "kubernetes.io/local-volume", Handle: "pv"},
			wantOK: true,
		},
		"hostPath": {
			source: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
			want:   VolumeID{Provisioner: "kubernetes.io/host-path", Handle: "pv"},
			wantOK: true,
		},
		"NFS":       {source: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs"}}},
		"no source": {},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := VolumeOf(&corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: "pv"},
				Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: tc.source},
			})
			if diff := cmp.Diff(tc.want, got); diff != "" || ok != tc.wantOK {
				t.Errorf("VolumeOf is %t, want %t, volume (-want +got):\n%s", ok, tc.wantOK, diff)
			}
		})
	}
}
