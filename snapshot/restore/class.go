// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"

	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// StorageClass reads a class. The error is the API server's, not wrapped.
func StorageClass(ctx context.Context, reader client.Reader, name string) (*storagev1.StorageClass, error) {
	class := &storagev1.StorageClass{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, class); err != nil {
		return nil, err
	}
	return class, nil
}

// WaitsForPod says that claims of a class get their volume only when their first pod has a node.
func WaitsForPod(class *storagev1.StorageClass) bool {
	return class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}
