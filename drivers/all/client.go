// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// csiAddons has the proof that nodes are cut off from a storage system. Its kinds are read without their Go types.
var csiAddons = schema.GroupVersion{Group: "csiaddons.openshift.io", Version: "v1alpha1"}

// NewClient returns a client that reads the API server itself, for the kinds that drivers read. It asks for JSON, the only
// encoding of custom resources.
func NewClient(config *rest.Config) (client.WithWatch, error) {
	if config == nil {
		return nil, errors.New("no kubeconfig for the drivers' client")
	}
	config = rest.CopyConfig(config)
	config.ContentType, config.AcceptContentTypes = "", ""
	scheme := runtime.NewScheme()
	if err := storagev1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the kinds of %s: %w", storagev1alpha1.GroupVersion, err)
	}
	apiClient, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: newMapper()})
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", storagev1alpha1.GroupVersion, err)
	}
	return apiClient, nil
}

// newMapper knows the kinds. Given them, the client need not ask the API server which it serves, by requests that no
// context ends.
func newMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{storagev1alpha1.GroupVersion, csiAddons})
	for _, kind := range []schema.GroupVersionKind{
		storagev1alpha1.GroupVersion.WithKind("VolumeTopology"),
		storagev1alpha1.GroupVersion.WithKind("StorageReport"),
		storagev1alpha1.GroupVersion.WithKind("StorageNode"),
		csiAddons.WithKind("NetworkFence"),
		csiAddons.WithKind("NetworkFenceClass"),
	} {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	return mapper
}
