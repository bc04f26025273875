// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// A ResourceQuota can only count them: https://github.com/kubernetes-csi/external-snapshotter/issues/663.
const (
	quotaSnapshots      corev1.ResourceName = "count/volumesnapshots.snapshot.storage.k8s.io"
	quotaGroupSnapshots corev1.ResourceName = "count/volumegroupsnapshots.groupsnapshot.storage.k8s.io"
)

// quota wants room for the objects: with hooks, a refusal in the middle would have frozen the application for nothing.
func (k *check) quota(ctx context.Context) error {
	if len(k.problems) > 0 {
		return nil
	}
	var list corev1.ResourceQuotaList
	if err := k.Client.List(ctx, &list, client.InNamespace(k.snapshot.Namespace)); err != nil {
		return fmt.Errorf("listing ResourceQuotas of %s: %w", k.snapshot.Namespace, err)
	}
	snapshots, groups := int64(0), int64(0)
	for i := range k.plan.Members {
		if k.plan.Members[i].State != snapshotv1alpha1.MemberFailed {
			snapshots++
		}
	}
	if k.isGroup() {
		groups = 1
	}
	if k.bestEffort() {
		// One is better than none.
		snapshots = min(snapshots, 1)
	}
	for i := range list.Items {
		k.room(&list.Items[i], quotaSnapshots, snapshots)
		k.room(&list.Items[i], quotaGroupSnapshots, groups)
	}
	return nil
}

func (k *check) room(quota *corev1.ResourceQuota, resource corev1.ResourceName, want int64) {
	hard, ok := quota.Status.Hard[resource]
	if !ok {
		return
	}
	used := quota.Status.Used[resource]
	if free := hard.Value() - used.Value(); want > free {
		k.problem(ReasonQuotaExceeded, "ResourceQuota %s allows %d of %s and %d are used; the snapshot needs %d", quota.Name, hard.Value(), resource, used.Value(), want)
	}
}
