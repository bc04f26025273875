// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// TestSignaturesInTheSchedulersFramework has the framework itself sign pods for opportunistic batching.
func TestSignaturesInTheSchedulersFramework(t *testing.T) {
	f := newFixture(t, world{nodes: sixNodes(), objects: claimAndPV("data")})
	ephemeral := podUsing()
	ephemeral.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	secret := podUsing()
	secret.Spec.Volumes = []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "token"}}}}
	target := podUsing()
	target.Labels = map[string]string{labelKubeVirt: kindLauncher, labelMigration: "m", labelMachine: "vm"}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"without volumes":                   {pod: podUsing(), want: true},
		"with a volume that has no claim":   {pod: secret, want: true},
		"with a claim":                      {pod: podUsing("data")},
		"with a generic ephemeral volume":   {pod: ephemeral},
		"the target of a live migration":    {pod: target},
		"with a claim that does not exist":  {pod: podUsing("gone")},
		"with a claim whose policy is none": {pod: annotated(podUsing("data"), "Ignored")},
	} {
		t.Run(name, func(t *testing.T) {
			if got := f.pl.handle.(framework.Framework).SignPod(t.Context(), tc.pod); (got != nil) != tc.want {
				t.Errorf("signature = %q, want one: %t", got, tc.want)
			}
		})
	}
}
