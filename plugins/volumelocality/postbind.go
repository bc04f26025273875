// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/drivers"
	"roost.dev/roost/volumelocality"
)

const (
	// EventReasonBadPolicy is the reason of the event about an annotation whose value is no policy.
	EventReasonBadPolicy = "UnknownLocalityPolicy"
	eventAction          = "Scheduling"
)

// PostBind forgets what was remembered for the pod, and tells its owner what the node gives to its volumes, and of
// annotations that could not be followed.
func (pl *VolumeLocality) PostBind(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node string) {
	lacked := pl.notes.take(pod.UID)
	pl.forget(pod.UID)
	s, ok := readState(state)
	if !ok {
		return
	}
	recorder := pl.handle.EventRecorder().WithLogger(klog.FromContext(ctx))
	for _, complaint := range s.complaints {
		recorder.Eventf(pod, nil, corev1.EventTypeWarning, reasonOf(complaint), eventAction, "%s", complaint.Error())
	}
	got := pl.receive(s, node)
	got.count()
	if local := got.of(false); local.got < local.all {
		got.why = pl.whyRemote(ctx, pod, s, got, cmp.Or(s.lacked, lacked))
	}
	if told, counts := got.tell(); counts {
		recorder.Eventf(pod, nil, told.eventType, told.reason, eventAction, "%s", told.note)
	}
}

// receive asks what the node gives to each of the pod's volumes. Volumes that are made only now have no data yet that could
// be anywhere else.
func (pl *VolumeLocality) receive(s *cycleState, node string) *received {
	got := &received{node: node, leaving: s.leaving, volumes: make([]receivedVolume, 0, len(s.volumes))}
	now := clusterNow{nodes: pl.nodes, registry: pl.registry}
	for i := range s.volumes {
		if s.origins[i].isSource {
			continue
		}
		got.volumes = append(got.volumes, receivedVolume{
			origin: s.origins[i], policy: s.volumes[i].Policy, placement: volumelocality.PlacementOf(s.volumes[i], pl.tiers, now, node),
		})
	}
	return got
}

// triedThen is what the attempt looked at that placed the pod.
var triedThen = map[volumelocality.Level]string{
	volumelocality.LevelNear: ", then nodes near them",
	volumelocality.LevelAll:  ", then all nodes",
}

// whyRemote says why a pod is not next to its data, as far as anybody knows. A scheduler that was started again has
// forgotten what the data nodes lacked.
func (pl *VolumeLocality) whyRemote(ctx context.Context, pod *corev1.Pod, s *cycleState, got *received, lacked string) string {
	switch {
	case followsMachine(pod):
		return "the pod follows its virtual machine"
	case lacked != "":
		return fmt.Sprintf("the data nodes were tried first (%s)%s", lacked, triedThen[s.attempt.Level])
	case got.areApart():
		return "no node has all of them"
	case !pl.narrows(ctx):
		return "the profile does not try data nodes first"
	default:
		return ""
	}
}

// clusterNow answers from the informers. After a scheduling cycle its snapshot of nodes is no more to be read: the next
// cycle is changing it.
type clusterNow struct {
	nodes    corelisters.NodeLister
	registry *drivers.Registry
}

var _ volumelocality.Cluster = clusterNow{}

// Node implements volumelocality.Cluster.
func (c clusterNow) Node(name string) (volumelocality.Node, bool) {
	node, err := c.nodes.Get(name)
	if err != nil {
		return volumelocality.Node{}, false
	}
	return volumelocality.Node{Name: node.Name, Labels: node.Labels}, true
}

// State implements volumelocality.Cluster.
func (c clusterNow) State(provisioner, node string) drivers.StorageState {
	return c.registry.NodeReport(provisioner, node).State
}
