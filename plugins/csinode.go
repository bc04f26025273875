// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"slices"

	storagev1 "k8s.io/api/storage/v1"
)

// Lists says that the CSI driver is registered on the node.
func Lists(csiNode *storagev1.CSINode, driver string) bool {
	return slices.ContainsFunc(csiNode.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == driver })
}

// Registers says that the CSI driver is registered after a change and was not before. before is nil for a new CSINode.
func Registers(before, after *storagev1.CSINode, driver string) bool {
	return Lists(after, driver) && (before == nil || !Lists(before, driver))
}
