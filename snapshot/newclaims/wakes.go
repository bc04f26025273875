// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// RestoreOf is the SnapshotRestore to look at when a claim or a VolumeSnapshot changed, or none.
func RestoreOf(object client.Object) []types.NamespacedName {
	return restoreIn(object.GetNamespace(), object)
}

// RestoreOfContent is the SnapshotRestore to look at when a VolumeSnapshotContent changed, or none.
func RestoreOfContent(content *snapshotv1.VolumeSnapshotContent) []types.NamespacedName {
	return restoreIn(content.Spec.VolumeSnapshotRef.Namespace, content)
}

func restoreIn(namespace string, object client.Object) []types.NamespacedName {
	name := object.GetAnnotations()[snapshotv1alpha1.AnnotationRestoredBy]
	if name == "" || object.GetLabels()[snapshotv1alpha1.LabelRestore] == "" {
		return nil
	}
	return []types.NamespacedName{{Namespace: namespace, Name: name}}
}
