// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/internal/podvolumes"
)

// PreFilter finds out which storage systems the pod has volumes of, and skips a pod that has none of a CSI driver.
func (pl *StorageHealth) PreFilter(_ context.Context, state fwk.CycleState, pod *corev1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	storages, err := pl.storagesOf(pod)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	if len(storages) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	state.Write(stateKey, &cycleState{storages: storages, waiter: &waiter{pod: pod, storages: storages}})
	return nil, nil
}

// PreFilterExtensions is nil: pods that come and go in a dry run of preemption do not change storage.
func (pl *StorageHealth) PreFilterExtensions() fwk.PreFilterExtensions {
	return nil
}

// storagesOf are those of the pod's volumes that are bound, and of the claims that are bound once the pod has a node. Claims
// that are in no such state are for the in-tree plugins to judge.
func (pl *StorageHealth) storagesOf(pod *corev1.Pod) ([]storage, error) {
	if !podvolumes.HasClaims(pod) {
		return nil, nil
	}
	volumes, err := pl.resolver.Resolve(pod)
	if err != nil {
		return nil, err
	}
	var storages []storage
	for i := range volumes {
		provisioner := provisionerOf(&volumes[i])
		if provisioner == "" || slices.ContainsFunc(storages, func(s storage) bool { return s.provisioner == provisioner }) {
			continue
		}
		storages = append(storages, storage{provisioner: provisioner, registers: pl.registers(provisioner)})
	}
	return storages, nil
}

// provisionerOf is the volume's CSI driver, empty where it has none. The name of a CSI driver has no slash, that of the
// kubelet's own volume plugins has one.
func provisionerOf(v *podvolumes.Volume) string {
	switch v.Status {
	case podvolumes.Bound:
		if v.PV.Spec.CSI != nil {
			return v.PV.Spec.CSI.Driver
		}
	case podvolumes.WaitingForConsumer:
		if !strings.Contains(v.Class.Provisioner, "/") {
			return v.Class.Provisioner
		}
	case podvolumes.WaitingForVolume, podvolumes.VolumeLost, podvolumes.ClaimMissing, podvolumes.ClaimForeign:
	}
	return ""
}

// registers says that a node without the driver cannot use its volumes. What has no CSIDriver object may be no CSI driver
// at all: a provisioner of NFS volumes, say. The in-tree NodeVolumeLimits takes it so too.
func (pl *StorageHealth) registers(provisioner string) bool {
	if !pl.args.RequireRegistration {
		return false
	}
	_, err := pl.csiDrivers.Get(provisioner)
	return err == nil
}
