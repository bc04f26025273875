// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// SetReplicaState sets the state of a volume's replica on a storage node, and puts one there when there is none.
func (c *Cluster) SetReplicaState(handle, node string, state storagev1alpha1.ReplicaState) error {
	switch state {
	case storagev1alpha1.ReplicaInSync, storagev1alpha1.ReplicaRebuilding, storagev1alpha1.ReplicaStale, storagev1alpha1.ReplicaFailed:
	default:
		return errorf(Invalid, "state: invalid value %q: must be InSync, Rebuilding, Stale or Failed", state)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(handle)
	if err != nil {
		return err
	}
	if i := v.replicaOn(node); i >= 0 {
		v.replicas[i].State = state
	} else if err := c.addReplica(v, node, state); err != nil {
		return err
	}
	c.notify(VolumeChanged, handle)
	c.settleFences(v)
	return nil
}

// RemoveReplica loses a volume's replica for good. Losing the last one is allowed: the data is then gone.
func (c *Cluster) RemoveReplica(handle, node string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(handle)
	if err != nil {
		return err
	}
	i := v.replicaOn(node)
	if i < 0 {
		return errorf(NotFound, "volume %s has no replica on node %q", handle, node)
	}
	v.replicas = slices.Delete(v.replicas, i, i+1)
	c.used[node] -= v.size
	c.notify(VolumeChanged, handle)
	return nil
}

func (c *Cluster) addReplica(v *volume, name string, state storagev1alpha1.ReplicaState) error {
	if _, err := c.storageNode(name); err != nil {
		return err
	}
	if len(v.replicas) == MaxReplicas {
		return errorf(Exhausted, "volume %s has %d replicas already, the most there can be", v.handle, MaxReplicas)
	}
	if free := c.free(name); free < v.size {
		return errorf(Exhausted, "volume %s needs %d bytes: node %s has %d free", v.handle, v.size, name, free)
	}
	v.replicas = append(v.replicas, Replica{Node: name, State: state})
	c.used[name] += v.size
	return nil
}

func (v *volume) replicaOn(node string) int {
	return slices.IndexFunc(v.replicas, func(r Replica) bool { return r.Node == node })
}

// usableNodes are the nodes whose replica of the volume can serve: in sync, on a healthy node.
func (c *Cluster) usableNodes(v *volume) []string {
	var names []string
	for _, replica := range v.replicas {
		n, ok := c.nodes[replica.Node]
		if ok && n.healthy() && replica.State == storagev1alpha1.ReplicaInSync {
			names = append(names, replica.Node)
		}
	}
	return names
}
