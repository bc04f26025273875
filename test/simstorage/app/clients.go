// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

const (
	// A start with 300 nodes is 900 requests, and a node with 500 volumes that is fenced 1000, which must not wait for each
	// other; with the default of 5 a second they would for minutes.
	requestsPerSecond = 500
	requestBurst      = 1000
)

type clients struct {
	kubernetes kubernetes.Interface
	roost      client.Client
}

// newClients reads the kubeconfig, or the pod's own account when it is empty. It does not need the API server to be up.
func newClients(kubeconfig string) (*clients, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading --kubeconfig: %w", err)
	}
	config.QPS, config.Burst = requestsPerSecond, requestBurst
	kubernetesClient, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("building a Kubernetes client: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := storagev1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering storage kinds: %w", err)
	}
	roostClient, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("building a client for storage kinds: %w", err)
	}
	return &clients{kubernetes: kubernetesClient, roost: roostClient}, nil
}
