// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"time"

	"k8s.io/klog/v2"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// storageNode is a storage system's part on one node.
type storageNode struct{ provisioner, node string }

// report is what the driver keeps of a StorageReport.
type report struct {
	state      drivers.StorageState
	message    string
	heartbeat  time.Time
	observedAt time.Time
}

type publishedNode = entry[storageNode, report]

// putReport has an object count for its node. One without a heartbeat has not been filled in yet.
func (s *Source) putReport(logger klog.Logger, object *storagev1alpha1.StorageReport) {
	s.writing.Lock()
	defer s.writing.Unlock()
	key := storageNode{provisioner: object.Spec.Provisioner, node: object.Spec.NodeName}
	usable := key.provisioner != "" && key.node != "" && !object.Status.HeartbeatTime.IsZero()
	known := s.nodes.byName[object.Name]
	if known != nil && (known.key != key || !usable) {
		s.forgetReport(known)
		known = nil
	}
	if !usable {
		return
	}
	now := s.clock.Now()
	e := newEntry(object, key, report{
		state:      drivers.StorageStateOf(string(object.Status.State)),
		message:    object.Status.Message,
		heartbeat:  object.Status.HeartbeatTime.Time,
		observedAt: observedAt(known, object.Status.HeartbeatTime.Time, now),
	})
	s.reading.Lock()
	before, after := s.nodes.put(e)
	s.confirm(key.provisioner, before, after)
	s.reading.Unlock()
	if known == nil && after.next != nil {
		logger.Info("Several StorageReports name one node; the oldest counts",
			"provisioner", key.provisioner, "node", klog.KRef("", key.node), "counts", after.name, "added", e.name)
	}
	s.tellOfNode(before, after, now)
}

// removeReport forgets the object of that name.
func (s *Source) removeReport(name string) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if known := s.nodes.byName[name]; known != nil {
		s.forgetReport(known)
	}
}

func (s *Source) forgetReport(e *publishedNode) {
	s.reading.Lock()
	before, after := s.nodes.remove(e)
	s.confirm(e.key.provisioner, before, after)
	s.reading.Unlock()
	s.tellOfNode(before, after, s.clock.Now())
}

// observedAt is when we last had word of the node. The vendor's clock may be wrong by any amount, so that only our clock
// tells the age of a heartbeat that we saw come. Of the first one we see we know no more than what it says.
func observedAt(known *publishedNode, heartbeat, now time.Time) time.Time {
	switch {
	case known == nil && heartbeat.Before(now):
		return heartbeat
	case known == nil, heartbeat.After(known.value.heartbeat):
		return now
	default:
		return known.value.observedAt
	}
}

// confirm keeps the provisioner's newest observation. The caller holds reading.
func (s *Source) confirm(provisioner string, before, after *publishedNode) {
	newest := s.newest[provisioner]
	switch {
	case after != nil && !after.value.observedAt.Before(newest):
		s.newest[provisioner] = after.value.observedAt
	case before != nil && before.value.observedAt.Equal(newest):
		s.newest[provisioner] = s.newestOf(provisioner)
	}
	if s.newest[provisioner].IsZero() {
		delete(s.newest, provisioner)
	}
}

func (s *Source) newestOf(provisioner string) time.Time {
	var newest time.Time
	for key, e := range s.nodes.byKey {
		if key.provisioner == provisioner && e.value.observedAt.After(newest) {
			newest = e.value.observedAt
		}
	}
	return newest
}

func (s *Source) tellOfNode(before, after *publishedNode, now time.Time) {
	about := after
	if about == nil {
		about = before
	}
	if before != nil && after != nil && before.value.state == after.value.state &&
		before.value.tooOld(now) == after.value.tooOld(now) {
		return
	}
	s.tell(drivers.Change{Provisioner: about.key.provisioner, Node: about.key.node})
}

func (r report) tooOld(now time.Time) bool {
	return now.Sub(r.observedAt) > MaxAge
}
