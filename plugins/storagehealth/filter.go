// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/plugins"
)

// Filter keeps the pod off a node where the storage of one of its volumes does not work. No pod that is preempted would
// change that.
func (pl *StorageHealth) Filter(_ context.Context, state fwk.CycleState, _ *corev1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, ok := readState(state)
	if !ok {
		return nil
	}
	node := info.Node().Name
	for i := range s.storages {
		if f := pl.check(s, &s.storages[i], node); f != noFault {
			return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, f.reason(s.storages[i].provisioner))
		}
	}
	return nil
}

func (pl *StorageHealth) check(s *cycleState, storage *storage, node string) fault {
	if storage.registers && !pl.isRegistered(storage.provisioner, node) {
		return notRegistered
	}
	p := part{provisioner: storage.provisioner, node: node}
	f := pl.health.faultOf(p)
	if f == noFault {
		return noFault
	}
	pl.waiting.add(s.waiter, p)
	// Asked again, because a change before the pod waited brings nobody back.
	return pl.health.faultOf(p)
}

// isRegistered is false also where the node has no CSINode: a kubelet makes it before it can mount a CSI volume.
func (pl *StorageHealth) isRegistered(provisioner, node string) bool {
	csiNode, err := pl.csiNodes.Get(node)
	return err == nil && plugins.Lists(csiNode, provisioner)
}
