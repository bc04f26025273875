// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podvolumes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/internal/builders"
)

func TestUses(t *testing.T) {
	token := corev1.Volume{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "token"}}}
	pod := podWith(token, claimVolume("data"), ephemeralVolume("scratch"))
	for name, tc := range map[string]struct {
		namespace, claim string
		want             bool
	}{
		"a claim by name":                  {namespace: builders.Namespace, claim: "data", want: true},
		"the claim of an ephemeral volume": {namespace: builders.Namespace, claim: "db-0-scratch", want: true},
		"the ephemeral volume's name":      {namespace: builders.Namespace, claim: "scratch"},
		"another claim":                    {namespace: builders.Namespace, claim: "more"},
		"a claim of that name, elsewhere":  {namespace: "elsewhere", claim: "data"},
		"a claim without a name":           {namespace: builders.Namespace},
		"something of that name, no claim": {namespace: builders.Namespace, claim: "token"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Uses(pod, tc.namespace, tc.claim); got != tc.want {
				t.Errorf("Uses = %t, want %t", got, tc.want)
			}
		})
	}
}
