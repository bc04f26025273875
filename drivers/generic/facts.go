// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// part is a driver's part on one node.
type part struct{ provisioner, node string }

// nodeFacts are what is seen of a node, or of a CSINode whose Node has not been seen.
type nodeFacts struct {
	exists bool
	ready  bool
	// readySince is set while the node is Ready.
	readySince time.Time
	// csiNodeSince is set while the node has a CSINode.
	csiNodeSince time.Time
	lease        leaseWatch
	// provisioners have facts about this node.
	provisioners map[string]struct{}
}

// partFacts are what is seen of a driver on a node.
type partFacts struct {
	// registered says that the CSINode names the driver now, wasRegistered that it has.
	registered, wasRegistered bool
	// missingSince is set while the CSINode lacks the driver and there is a node plugin or an attachment.
	missingSince time.Time

	pods map[*pluginPod]struct{}
	// hasPlugin says that there has been a node plugin's pod.
	hasPlugin bool
	// revision is that of the node plugin that was last ready.
	revision string
	// notReadySince is set while none is ready. A pod and its successor are one outage.
	notReadySince time.Time

	attachments map[string]attachment
	// succeeded is when an attachment or a detachment was last seen to succeed.
	succeeded time.Time
}

// attachment is what is seen of a VolumeAttachment.
type attachment struct {
	attached bool
	// failingSince is set while its last attempt failed.
	failingSince time.Time
}

func (h *health) node(name string) *nodeFacts {
	if h.nodes[name] == nil {
		h.nodes[name] = &nodeFacts{provisioners: map[string]struct{}{}}
	}
	return h.nodes[name]
}

func (h *health) part(p part) *partFacts {
	if h.parts[p] == nil {
		h.parts[p] = &partFacts{pods: map[*pluginPod]struct{}{}, attachments: map[string]attachment{}}
		h.node(p.node).provisioners[p.provisioner] = struct{}{}
	}
	return h.parts[p]
}

// settle works out what follows from a part's facts, and drops a part that has none.
func (h *health) settle(p part) {
	facts := h.parts[p]
	if facts == nil {
		return
	}
	now := h.clock.Now()
	if !facts.registered && len(facts.pods) == 0 && len(facts.attachments) == 0 {
		delete(h.parts, p)
		delete(h.node(p.node).provisioners, p.provisioner)
		h.dropNode(p.node)
		return
	}
	begin(&facts.missingSince, !facts.registered && len(facts.pods)+len(facts.attachments) > 0, now)
	ready := false
	for pod := range facts.pods {
		if pod.ready {
			ready = true
			facts.revision = pod.revision
		}
	}
	begin(&facts.notReadySince, facts.hasPlugin && !ready, now)
}

// begin notes when something began that still holds.
func begin(since *time.Time, holds bool, now time.Time) {
	switch {
	case !holds:
		*since = time.Time{}
	case since.IsZero():
		*since = now
	}
}

func (h *health) dropNode(name string) {
	if n := h.nodes[name]; n != nil && !n.exists && n.csiNodeSince.IsZero() && len(n.provisioners) == 0 {
		delete(h.nodes, name)
	}
}

func (h *health) partsOn(name string) []part {
	node := h.nodes[name]
	if node == nil {
		return nil
	}
	parts := make([]part, 0, len(node.provisioners))
	for provisioner := range node.provisioners {
		parts = append(parts, part{provisioner: provisioner, node: name})
	}
	return parts
}

// setNode returns the parts whose report may have changed. A heartbeat changes none.
func (h *health) setNode(object *corev1.Node) []part {
	n := h.node(object.Name)
	now := h.clock.Now()
	ready, since := readyOf(object)
	if n.exists && n.ready == ready {
		return nil
	}
	switch {
	case !ready:
		n.readySince = time.Time{}
	case !n.exists && since.Before(now):
		n.readySince = since
	default:
		n.readySince = now
	}
	n.exists, n.ready, n.lease = true, ready, leaseWatch{}
	return h.partsOn(object.Name)
}

func (h *health) removeNode(name string) []part {
	n := h.nodes[name]
	if n == nil {
		return nil
	}
	n.exists, n.ready, n.readySince, n.lease = false, false, time.Time{}, leaseWatch{}
	parts := h.partsOn(name)
	h.dropNode(name)
	return parts
}

func readyOf(node *corev1.Node) (ready bool, since time.Time) {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue, condition.LastTransitionTime.Time
		}
	}
	return false, time.Time{}
}

// setCSINode sets or, where object is nil, removes a node's CSINode. It returns the parts whose report may have changed.
func (h *health) setCSINode(name string, object *storagev1.CSINode) []part {
	n := h.node(name)
	n.csiNodeSince = time.Time{}
	names := map[string]struct{}{}
	if object != nil {
		n.csiNodeSince = earliest(object.CreationTimestamp.Time, h.clock.Now())
		for _, driver := range object.Spec.Drivers {
			names[driver.Name] = struct{}{}
		}
	}
	var touched []part
	for provisioner := range names {
		facts := h.part(part{provisioner: provisioner, node: name})
		facts.registered, facts.wasRegistered = true, true
		touched = append(touched, h.know(provisioner)...)
	}
	for _, p := range h.partsOn(name) {
		_, h.parts[p].registered = names[p.provisioner]
		h.settle(p)
		touched = append(touched, p)
	}
	h.dropNode(name)
	return touched
}

// know returns the driver's parts where it was not known to be one.
func (h *health) know(provisioner string) []part {
	if _, known := h.drivers[provisioner]; known {
		return nil
	}
	h.drivers[provisioner] = struct{}{}
	var parts []part
	for p := range h.parts {
		if p.provisioner == provisioner {
			parts = append(parts, p)
		}
	}
	return parts
}

// setAttachment returns the parts whose report may have changed. anywhere says that the volume is attached, here or
// elsewhere: while its pod is moved, it may be refused here for that alone.
func (h *health) setAttachment(object *storagev1.VolumeAttachment, anywhere bool) []part {
	p := part{provisioner: object.Spec.Attacher, node: object.Spec.NodeName}
	touched := []part{p}
	if before, ok := h.attachments[object.Name]; ok && before != p {
		touched = append(touched, h.removeAttachment(object.Name)...)
	}
	h.attachments[object.Name] = p
	facts := h.part(p)
	now := h.clock.Now()
	known, seen := facts.attachments[object.Name]
	is := attachment{attached: object.Status.Attached, failingSince: known.failingSince}
	failing := object.Status.DetachError != nil || object.Status.AttachError != nil && !is.attached && !anywhere
	begin(&is.failingSince, failing, now)
	if seen && !known.attached && is.attached {
		facts.succeeded = now
	}
	facts.attachments[object.Name] = is
	h.settle(p)
	return touched
}

// removeAttachment returns the parts whose report may have changed.
func (h *health) removeAttachment(name string) []part {
	p, ok := h.attachments[name]
	if !ok {
		return nil
	}
	delete(h.attachments, name)
	facts := h.parts[p]
	if facts.attachments[name].attached {
		facts.succeeded = h.clock.Now()
	}
	delete(facts.attachments, name)
	h.settle(p)
	return []part{p}
}
