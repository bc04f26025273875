// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"strings"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// kwokOptions let kwok play more pods and nodes at a time than it does by default. It defaults nothing that a file leaves out.
const kwokOptions = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  podPlayStageParallelism: 16
  nodePlayStageParallelism: 16
  nodeLeaseParallelism: 4
  podsOnNodeSyncParallelism: 4
`

// startKwok starts the simulation of the kubelets. kwok does nothing without stages, and those are part of its module.
func (s *Sandbox) startKwok(ctx context.Context) error {
	config := s.dir.path("kwok.yaml")
	documents := []string{
		kwokOptions, nodefast.DefaultNodeInit, nodeheartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete,
	}
	if err := os.WriteFile(config, []byte(strings.Join(documents, "\n---\n")), 0o600); err != nil {
		return fmt.Errorf("writing kwok's configuration: %w", err)
	}
	return s.start(ctx, programSpec{name: "kwok", path: "k8s/kwok", args: []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--config=" + config,
		"--manage-nodes-with-annotation-selector=" + annotationKwok + "=fake",
		"--node-lease-duration-seconds=40",
		"--server-address=127.0.0.1:0",
	}})
}
