// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKubernetesIsAsItIsShipped(t *testing.T) {
	var flags []string
	for _, flag := range (&Sandbox{}).controllerManagerFlags() {
		name, _, _ := strings.Cut(flag, "=")
		flags = append(flags, name)
	}
	want := []string{"--kubeconfig", "--leader-elect", "--service-account-private-key-file", "--kube-api-qps", "--kube-api-burst"}
	if diff := cmp.Diff(want, flags); diff != "" {
		t.Errorf("flags of kube-controller-manager, none of which may change what we compare ourselves with (-want +got):\n%s", diff)
	}
}
