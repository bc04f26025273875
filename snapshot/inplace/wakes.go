// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// RestoreOf is the SnapshotRestore to look at when a claim or an ApplicationSnapshot changed: the one that holds the claim, or
// that made it. Pods and VolumeAttachments wake nobody: while they are waited for, they are looked at every two seconds.
func RestoreOf(object client.Object) []types.NamespacedName {
	annotations := object.GetAnnotations()
	name := annotations[snapshotv1alpha1.AnnotationRestoring]
	if name == "" && object.GetLabels()[snapshotv1alpha1.LabelRestore] != "" {
		name = annotations[snapshotv1alpha1.AnnotationRestoredBy]
	}
	if name == "" {
		return nil
	}
	return []types.NamespacedName{{Namespace: object.GetNamespace(), Name: name}}
}
