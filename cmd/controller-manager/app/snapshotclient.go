// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	groupsnapshotv1beta2 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1beta2"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// snapshotConnection has a limit of requests of its own: a thousand snapshots at one tick must not hold up a failover.
func snapshotConnection(connection *rest.Config, config *managerv1alpha1.Snapshots) *rest.Config {
	own := rest.CopyConfig(connection)
	own.QPS, own.Burst = config.QPS, int(config.Burst)
	own.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, int(config.Burst))
	return own
}

// newSnapshotClient returns a client that reads the API server itself. It knows the kinds of snapshots, and asks the API
// server for those of groups and of workloads when they are needed.
func newSnapshotClient(connection *rest.Config) (client.WithWatch, error) {
	kinds, err := newSnapshotScheme()
	if err != nil {
		return nil, err
	}
	http, err := rest.HTTPClientFor(connection)
	if err != nil {
		return nil, fmt.Errorf("making a client of snapshots: %w", err)
	}
	discovered, err := apiutil.NewDynamicRESTMapper(connection, http)
	if err != nil {
		return nil, fmt.Errorf("making a client of snapshots: %w", err)
	}
	return client.NewWithWatch(connection, client.Options{
		Scheme: kinds, HTTPClient: http, Mapper: meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{newSnapshotMapper(), discovered}},
	})
}

func newSnapshotScheme() (*runtime.Scheme, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, snapshotv1alpha1.AddToScheme, snapshotv1.AddToScheme,
		groupsnapshotv1.AddToScheme, groupsnapshotv1beta2.AddToScheme,
	} {
		if err := add(kinds); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return kinds, nil
}

// newSnapshotMapper knows the kinds that are always needed. A kind that it knows and the API server does not serve is an
// answer to a request, and costs no search.
func newSnapshotMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{
		corev1.SchemeGroupVersion, storagev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, snapshotv1alpha1.GroupVersion, snapshotv1.SchemeGroupVersion,
	})
	for _, kind := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
		appsv1.SchemeGroupVersion.WithKind("Deployment"), appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
		snapshotv1alpha1.GroupVersion.WithKind("ApplicationSnapshot"), snapshotv1alpha1.GroupVersion.WithKind("SnapshotSchedule"),
		snapshotv1alpha1.GroupVersion.WithKind("SnapshotRestore"), snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshot"),
	} {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	for _, kind := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Node"), corev1.SchemeGroupVersion.WithKind("Namespace"),
		corev1.SchemeGroupVersion.WithKind("PersistentVolume"),
		storagev1.SchemeGroupVersion.WithKind("StorageClass"), storagev1.SchemeGroupVersion.WithKind("VolumeAttachment"),
		snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshotContent"), snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshotClass"),
	} {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	return mapper
}
