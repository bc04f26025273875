// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
)

// part is a storage system's part on one node.
type part struct{ provisioner, node string }

// health answers from memory how storage is.
type health struct {
	registry     *drivers.Registry
	storageNodes StorageNodes
}

// fault is why pods with volumes of a storage system cannot run on a node.
type fault uint8

const (
	noFault fault = iota
	// notRegistered means that the CSI driver is not registered on the node.
	notRegistered
	// storageOffline and storageMaintenance are what the storage system says.
	storageOffline
	storageMaintenance
	// inMaintenance is what an operator wants.
	inMaintenance
	// unhealthy, failedOver and recovering are Roost's verdict.
	unhealthy
	failedOver
	recovering
)

// reason follows a number of nodes in a pod's events. The scheduler counts nodes by it, so it names no node.
func (f fault) reason(provisioner string) string {
	switch f {
	case notRegistered:
		return "node(s) where the CSI driver " + provisioner + " is not registered"
	case storageOffline:
		return "node(s) whose " + provisioner + " storage is Offline"
	case storageMaintenance:
		return "node(s) whose " + provisioner + " storage is in Maintenance"
	case inMaintenance:
		return "node(s) whose " + provisioner + " StorageNode is set to maintenance"
	case unhealthy:
		return "node(s) whose " + provisioner + " StorageNode is Unhealthy"
	case failedOver:
		return "node(s) whose " + provisioner + " StorageNode is FailedOver"
	case recovering:
		return "node(s) whose " + provisioner + " StorageNode is Recovering"
	case noFault:
	}
	return ""
}

// faultOf is noFault also where nothing is known.
func (h *health) faultOf(p part) fault {
	known := h.storageNodes.Of(p.provisioner, p.node)
	switch h.storage(p, known) {
	case drivers.Offline:
		return storageOffline
	case drivers.Maintenance:
		return storageMaintenance
	case drivers.Unknown, drivers.Online, drivers.Degraded, drivers.StorageDown:
	}
	if known.Maintenance {
		return inMaintenance
	}
	switch known.State {
	case storagev1alpha1.HealthUnhealthy:
		return unhealthy
	case storagev1alpha1.HealthFailedOver:
		return failedOver
	case storagev1alpha1.HealthRecovering:
		return recovering
	case storagev1alpha1.HealthHealthy, storagev1alpha1.HealthSuspect:
	}
	return noFault
}

// storage is what the storage system says: to the scheduler's own drivers, else to the controller manager, which has signals
// that the scheduler does not gather.
func (h *health) storage(p part, known plugins.StorageNode) drivers.StorageState {
	if state := h.registry.NodeReport(p.provisioner, p.node).State; state != drivers.Unknown {
		return state
	}
	return known.Storage
}
