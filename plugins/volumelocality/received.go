// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/volumelocality"
)

// The reasons of the event about what a bound pod got. One that is not local counts before one that is not apart.
const (
	// EventReasonLocal means that all volumes are local, and those to Avoid are not.
	EventReasonLocal = "VolumesLocal"
	// EventReasonNotLocal means that a volume is not local that should be.
	EventReasonNotLocal = "VolumesNotLocal"
	// EventReasonApart means that all volumes are to Avoid, and none has a replica on the node.
	EventReasonApart = "VolumesApart"
	// EventReasonNotApart means that a volume to Avoid has a replica on the node.
	EventReasonNotApart = "VolumesNotApart"
)

const (
	// maxNote is the longest note, in bytes, of an event that the API server takes.
	maxNote = 1024
	// maxToldVolumes and maxToldNodes bound what a person is given to read.
	maxToldVolumes, maxToldNodes = 4, 3
)

// received is what the node that a pod is bound to gives to the pod's volumes.
type received struct {
	node    string
	volumes []receivedVolume
	// leaving is the node that the pod's virtual machine moves off, if any.
	leaving string
	// why is what kept the pod from its data, if anybody knows.
	why string
}

type receivedVolume struct {
	origin
	policy    volumelocality.Policy
	placement volumelocality.Placement
}

// told is an event about a pod.
type told struct {
	eventType, reason, note string
}

// counts is false for a volume of which no driver has ever heard: of that there is nothing to tell.
func (v *receivedVolume) counts() bool {
	return v.driver != "" || v.placement.Locality != volumelocality.NotKnown
}

func (v *receivedVolume) isAvoided() bool { return v.policy == volumelocality.Avoid }

// asWanted says that the volume's policy is met. Where nobody knows where the volume is, nobody can say so.
func (v *receivedVolume) asWanted() bool {
	switch {
	case v.placement.Locality == volumelocality.NotKnown:
		return false
	case v.isAvoided():
		return !v.placement.Holds
	default:
		return v.placement.Locality == volumelocality.Local
	}
}

// share is how many volumes have what they want, of how many that want it.
type share struct{ got, all int }

// of counts the volumes that are to be avoided, or those that are not.
func (r *received) of(avoided bool) share {
	var s share
	for i := range r.volumes {
		v := &r.volumes[i]
		if !v.counts() || v.isAvoided() != avoided {
			continue
		}
		s.all++
		if v.asWanted() {
			s.got++
		}
	}
	return s
}

// areApart says that several volumes have data, and no node has that of all of them.
func (r *received) areApart() bool {
	var shared []string
	several := 0
	for i := range r.volumes {
		v := &r.volumes[i]
		if v.isAvoided() || len(v.placement.Serving) == 0 {
			continue
		}
		if several++; several == 1 {
			shared = slices.Clone(v.placement.Serving)
		}
		shared = slices.DeleteFunc(shared, func(node string) bool { return !slices.Contains(v.placement.Serving, node) })
	}
	return several > 1 && len(shared) == 0
}

// tell is false where no volume counts.
func (r *received) tell() (told, bool) {
	local, apart := r.of(false), r.of(true)
	if local.all+apart.all == 0 {
		return told{}, false
	}
	var parts []string
	if local.all > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d volumes local", local.got, local.all))
	}
	if apart.all > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d volumes apart from their data", apart.got, apart.all))
	}
	head := strings.Join(parts, ", ") + " on " + r.node
	if local.got < local.all && r.why != "" {
		head += "; " + r.why
	}
	t := told{eventType: corev1.EventTypeNormal, note: r.withDetails(head)}
	switch {
	case local.got < local.all:
		t.eventType, t.reason = corev1.EventTypeWarning, EventReasonNotLocal
	case apart.got < apart.all:
		t.eventType, t.reason = corev1.EventTypeWarning, EventReasonNotApart
	case local.all > 0:
		t.reason = EventReasonLocal
	default:
		t.reason = EventReasonApart
	}
	return t, true
}

// withDetails adds the volumes whose policy is not met, as many as a person will read and a note can hold.
func (r *received) withDetails(head string) string {
	var details []string
	for i := range r.volumes {
		if v := &r.volumes[i]; v.counts() && !v.asWanted() {
			details = append(details, r.detail(v))
		}
	}
	note, added := cut(head, maxNote), 0
	for _, detail := range details[:min(len(details), maxToldVolumes)] {
		if len(note)+len("; ")+len(detail)+len(andMore(len(details), "volumes")) > maxNote {
			break
		}
		note += "; " + detail
		added++
	}
	if rest := andMore(len(details)-added, "volumes"); len(note)+len(rest) <= maxNote {
		note += rest
	}
	return note
}

// detail says where a volume is, or what else keeps it from having what it wants.
func (r *received) detail(v *receivedVolume) string {
	switch {
	case v.placement.Locality == volumelocality.NotKnown:
		return fmt.Sprintf("the driver %s has not heard for too long where %q is", v.driver, v.claim)
	case v.isAvoided():
		return fmt.Sprintf("%q has a replica there, and its locality is %s", v.claim, v.policy)
	}
	nodes := r.nodesOf(v)
	if len(nodes) == 0 {
		return fmt.Sprintf("%q has no in-sync replica", v.claim)
	}
	told := nodes[:min(len(nodes), maxToldNodes)]
	text := fmt.Sprintf("%q is on %s%s", v.claim, strings.Join(told, ", "), andMore(len(nodes)-len(told), "nodes"))
	if v.placement.Tier != "" {
		text += fmt.Sprintf(" (same %s)", v.placement.Tier)
	}
	return text
}

// nodesOf are the nodes with an in-sync replica, the better ones first, with what is the matter with the others.
func (r *received) nodesOf(v *receivedVolume) []string {
	nodes := slices.Clone(v.placement.Serving)
	for _, node := range v.placement.NotServing {
		nodes = append(nodes, fmt.Sprintf("%s (%s)", node.Node, node.State))
	}
	if v.left {
		nodes = append(nodes, r.leaving+" (the virtual machine leaves it)")
	}
	for _, node := range v.placement.Missing {
		nodes = append(nodes, node+" (no such node)")
	}
	return nodes
}

func andMore(count int, what string) string {
	if count <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more %s", count, what)
}
