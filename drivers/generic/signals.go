// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"slices"
	"time"

	"roost.dev/roost/drivers"
)

// judgement is what follows from the facts about one part.
type judgement struct {
	report drivers.NodeReport
	known  bool
	// pending says that time alone may change the report.
	pending bool
}

// signal is one reason for a report of Degraded. The zero time is for a signal that has not begun.
type signal struct {
	counts  time.Time
	message string
}

// judge is pure: it reads facts and the time.
func (h *health) judge(p part, now time.Time) judgement {
	facts, node := h.parts[p], h.nodes[p.node]
	if _, registered := h.drivers[p.provisioner]; !registered || facts == nil || node == nil || !node.exists {
		return judgement{}
	}
	if lost, yes := h.lost(node); yes {
		return lost
	}
	pending := false
	for _, s := range []signal{h.pluginNotReady(facts, node), h.driverMissing(facts, node), h.attachmentsFail(facts)} {
		switch {
		case s.counts.IsZero():
		case now.Before(s.counts):
			pending = true
		default:
			return report(drivers.Degraded, s.message)
		}
	}
	if !facts.wasRegistered {
		return judgement{pending: pending}
	}
	online := report(drivers.Online, "the driver is registered on the node")
	online.pending = pending
	return online
}

// lost says what follows where the node is gone, or may be.
func (h *health) lost(node *nodeFacts) (judgement, bool) {
	if node.ready {
		return judgement{}, false
	}
	switch node.lease.state(h.options.LeaseStaleAfter) {
	case leaseStale:
		return report(drivers.Offline, "the node is not Ready and its kubelet does not renew its lease: it is gone, or cut off"), true
	case leaseUnknown:
		return report(drivers.Unknown, "the node is not Ready, and whether its kubelet renews its lease is not known"+node.lease.why()), true
	case leaseRenewed:
	}
	return judgement{}, false
}

// why goes on where it is not known whether a lease is renewed.
func (w *leaseWatch) why() string {
	if w.problem.message == "" {
		return " yet"
	}
	return ": " + w.problem.message
}

func report(state drivers.StorageState, message string) judgement {
	return judgement{report: drivers.NodeReport{State: state, Message: message}, known: true}
}

// pluginNotReady is never more than Degraded: what is mounted works on without the node plugin.
func (h *health) pluginNotReady(facts *partFacts, node *nodeFacts) signal {
	if facts.notReadySince.IsZero() || !node.ready {
		return signal{}
	}
	return signal{
		counts:  latest(facts.notReadySince.Add(h.options.PluginNotReadyAfter), h.started(facts, node)),
		message: "the CSI node plugin's pod is not ready: volumes of new pods cannot be mounted",
	}
}

func (h *health) driverMissing(facts *partFacts, node *nodeFacts) signal {
	if facts.missingSince.IsZero() || !node.ready {
		return signal{}
	}
	counts := latest(facts.missingSince.Add(h.options.PluginNotReadyAfter), h.started(facts, node))
	if !node.csiNodeSince.IsZero() {
		counts = latest(counts, node.csiNodeSince.Add(h.options.BootGrace))
	}
	return signal{
		counts:  counts,
		message: "the driver is not registered in the node's CSINode: volumes of new pods cannot be mounted",
	}
}

// started is when the node, and a node plugin of a new revision on it, have had the time that they need to start. A
// revision that comes when the outage counts already does not end it.
func (h *health) started(facts *partFacts, node *nodeFacts) time.Time {
	started := node.readySince.Add(h.options.BootGrace)
	for pod := range facts.pods {
		inTime := pod.since.Before(facts.notReadySince.Add(h.options.PluginNotReadyAfter))
		if inTime && facts.revision != "" && pod.revision != facts.revision {
			started = latest(started, pod.since.Add(h.options.BootGrace))
		}
	}
	return started
}

// attachmentsFail needs two attachments that fail, with none that succeeded since: one alone, or one among others that
// succeed, is that volume's problem.
func (h *health) attachmentsFail(facts *partFacts) signal {
	var since []time.Time
	for _, a := range facts.attachments {
		if !a.failingSince.IsZero() && !a.failingSince.Before(facts.succeeded) {
			since = append(since, a.failingSince)
		}
	}
	if len(since) < 2 {
		return signal{}
	}
	slices.SortFunc(since, time.Time.Compare)
	return signal{
		counts:  since[1].Add(h.options.AttachErrorsAfter),
		message: "VolumeAttachments of the driver to the node fail, and none has succeeded since",
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
