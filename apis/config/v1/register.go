// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	schedconfigv1 "k8s.io/kube-scheduler/config/v1"
)

// SchemeGroupVersion is the group and version of this package's kinds.
var SchemeGroupVersion = schema.GroupVersion{Group: schedconfigv1.GroupName, Version: "v1"}

var (
	// kube-scheduler defaults and converts plugin arguments with a scheme that it builds once from this builder and
	// never exposes, so the kinds have to be on it before its first configuration is read.
	localSchemeBuilder = &schedconfigv1.SchemeBuilder

	// AddToScheme registers this package's kinds together with kube-scheduler's own of this version.
	AddToScheme = localSchemeBuilder.AddToScheme
)

// The conversions are registered by the generated file.
func init() {
	localSchemeBuilder.Register(addKnownTypes, RegisterDefaults)
}

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &StorageHealthArgs{}, &VolumeLocalityArgs{})
	return nil
}
