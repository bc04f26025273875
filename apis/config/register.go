// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
)

// SchemeGroupVersion is the group and version of this package's kinds.
var SchemeGroupVersion = schema.GroupVersion{Group: schedconfig.GroupName, Version: runtime.APIVersionInternal}

var (
	// kube-scheduler converts plugin arguments with a scheme that it builds once from this builder and never
	// exposes, so the kinds have to be on it before its first configuration is read.
	localSchemeBuilder = &schedconfig.SchemeBuilder

	// AddToScheme registers this package's kinds together with kube-scheduler's own internal ones.
	AddToScheme = localSchemeBuilder.AddToScheme
)

func init() {
	localSchemeBuilder.Register(addKnownTypes)
}

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &StorageHealthArgs{}, &VolumeLocalityArgs{})
	return nil
}
