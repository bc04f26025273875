// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"cmp"
	"slices"
	"unique"

	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// topology is what the driver keeps of a VolumeTopology. Readers hold its slices, so that nothing changes them.
type topology struct {
	replicas   []drivers.Replica
	attachedTo []string
	// fenced is nil for nearly every volume, nearly always.
	fenced   []string
	interned interned
}

// interned keeps alive the one copy of each name that a hundred thousand volumes share.
type interned []unique.Handle[string]

func (n *interned) intern(name string) string {
	handle := unique.Make(name)
	*n = append(*n, handle)
	return handle.Value()
}

type publishedVolume = entry[drivers.VolumeID, topology]

// putTopology has an object count for its volume.
func (s *Source) putTopology(logger klog.Logger, object *storagev1alpha1.VolumeTopology) {
	s.writing.Lock()
	defer s.writing.Unlock()
	e := newPublishedVolume(object)
	known := s.volumes.byName[e.name]
	if known != nil && known.key != e.key {
		s.forgetTopology(known)
	}
	if e.key.Provisioner == "" || e.key.Handle == "" {
		return
	}
	s.reading.Lock()
	before, after := s.volumes.put(e)
	s.reading.Unlock()
	if known == nil && after.next != nil {
		logger.Info("Several VolumeTopologies name one volume; the oldest counts",
			"provisioner", e.key.Provisioner, "volumeHandle", e.key.Handle, "counts", after.name, "added", e.name)
	}
	s.tellOfVolume(before, after)
}

// removeTopology forgets the object of that name.
func (s *Source) removeTopology(name string) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if known := s.volumes.byName[name]; known != nil {
		s.forgetTopology(known)
	}
}

func (s *Source) forgetTopology(e *publishedVolume) {
	s.reading.Lock()
	before, after := s.volumes.remove(e)
	s.reading.Unlock()
	s.tellOfVolume(before, after)
}

func (s *Source) tellOfVolume(before, after *publishedVolume) {
	was, is := before != nil, after != nil
	switch {
	case !was && !is:
	case was && is && slices.Equal(before.value.replicas, after.value.replicas) &&
		slices.Equal(before.value.attachedTo, after.value.attachedTo) && slices.Equal(before.value.fenced, after.value.fenced):
	case is:
		s.tell(drivers.Change{Volume: after.key})
	default:
		s.tell(drivers.Change{Volume: before.key})
	}
}

func newPublishedVolume(object *storagev1alpha1.VolumeTopology) *publishedVolume {
	names := make(interned, 0, 1+len(object.Status.Replicas)+len(object.Status.AttachedNodes)+len(object.Status.FencedNodes))
	key := drivers.VolumeID{Provisioner: names.intern(object.Spec.Provisioner), Handle: object.Spec.VolumeHandle}
	value := topology{
		replicas:   names.replicas(object.Status.Replicas),
		attachedTo: names.nodes(object.Status.AttachedNodes),
		fenced:     names.nodes(object.Status.FencedNodes),
	}
	value.interned = names
	return newEntry(object, key, value)
}

// replicas are in the order of the nodes' names. A node that is named twice, which only an API server without our
// validation lets through, has one replica, in the worse state.
func (n *interned) replicas(published []storagev1alpha1.VolumeReplica) []drivers.Replica {
	replicas := make([]drivers.Replica, 0, len(published))
	for _, replica := range published {
		replicas = append(replicas, drivers.Replica{Node: n.intern(replica.NodeName), State: replicaState(replica.State)})
	}
	slices.SortFunc(replicas, func(a, b drivers.Replica) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), -cmp.Compare(a.State, b.State))
	})
	return slices.CompactFunc(replicas, func(a, b drivers.Replica) bool { return a.Node == b.Node })
}

// nodes are in the order of their names.
func (n *interned) nodes(published []string) []string {
	if len(published) == 0 {
		return nil
	}
	nodes := make([]string, 0, len(published))
	for _, node := range published {
		nodes = append(nodes, n.intern(node))
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// replicaState takes a state that the API does not have for one in which nothing can be used.
func replicaState(state storagev1alpha1.ReplicaState) drivers.ReplicaState {
	switch state {
	case storagev1alpha1.ReplicaInSync:
		return drivers.InSync
	case storagev1alpha1.ReplicaRebuilding:
		return drivers.Rebuilding
	case storagev1alpha1.ReplicaStale:
		return drivers.Stale
	case storagev1alpha1.ReplicaFailed:
		return drivers.Failed
	default:
		return drivers.Failed
	}
}
