// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/http"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// newConnection says how to reach the API server. All clients that are made from it share one limit of requests.
func newConnection(config *managerv1alpha1.ClientConnection) (*rest.Config, error) {
	connection, err := readConnection(config.Kubeconfig)
	if err != nil {
		return nil, err
	}
	connection = rest.AddUserAgent(connection, "roost-"+program)
	connection.QPS, connection.Burst = config.QPS, int(config.Burst)
	connection.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, int(config.Burst))
	return connection, nil
}

func readConnection(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		connection, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("clientConnection.kubeconfig is not set, and so the pod's service account is wanted: %w", err)
		}
		return connection, nil
	}
	connection, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading clientConnection.kubeconfig: %w", err)
	}
	return connection, nil
}

// electionConnection has a limit of its own: a failover that uses up the other must not cost the Lease.
func electionConnection(connection *rest.Config) *rest.Config {
	own := rest.CopyConfig(connection)
	own.RateLimiter = nil
	return own
}

// newClientset returns a client of Kubernetes' own kinds, which has them sent in their compact encoding.
func newClientset(connection *rest.Config) (kubernetes.Interface, error) {
	connection = rest.CopyConfig(connection)
	connection.ContentType = runtime.ContentTypeProtobuf
	connection.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	clientset, err := kubernetes.NewForConfig(connection)
	if err != nil {
		return nil, fmt.Errorf("making a client of Kubernetes: %w", err)
	}
	return clientset, nil
}

// newDirectClient returns a client that reads from the API server itself.
func newDirectClient(connection *rest.Config, options client.Options) (client.Client, error) {
	options.Cache = nil
	return client.New(connection, options)
}

func newScheme() (*runtime.Scheme, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, storagev1alpha1.AddToScheme, schedulingv1alpha1.AddToScheme,
		// Events are told of these.
		snapshotv1alpha1.AddToScheme, snapshotv1.AddToScheme,
	} {
		if err := add(kinds); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return kinds, nil
}

// newMapper knows the kinds that the loops read and write one by one. Given them, no client asks the API server at start
// which it serves.
func newMapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{
		corev1.SchemeGroupVersion, storagev1.SchemeGroupVersion, storagev1alpha1.GroupVersion, schedulingv1alpha1.SchemeGroupVersion,
	})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	mapper.Add(storagev1.SchemeGroupVersion.WithKind("VolumeAttachment"), meta.RESTScopeRoot)
	mapper.Add(storagev1alpha1.GroupVersion.WithKind("StorageNode"), meta.RESTScopeRoot)
	mapper.Add(schedulingv1alpha1.SchemeGroupVersion.WithKind("PodGroup"), meta.RESTScopeNamespace)
	return mapper, nil
}
