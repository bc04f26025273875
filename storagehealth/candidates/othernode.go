// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	taints "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"roost.dev/roost/drivers"
)

// requirement is something that a node must have to run the pod.
type requirement struct {
	// failure tells of the nodes without it.
	failure string
	met     func(*placement, int) bool
}

// requirements are asked in this order; a node counts for the first that it does not meet.
var requirements = []requirement{
	{"not Ready", func(p *placement, node int) bool { return p.others.ready[node] }},
	{"cordoned, or with a taint that the pod does not tolerate", (*placement).tolerates},
	{"outside the pod's node affinity", (*placement).wants},
	{"outside a volume's node affinity", (*placement).allowed},
	{"without a copy of a volume that is used only where it has copies", (*placement).copied},
	{"without the CSI driver", (*placement).registered},
	{"with storage that takes no pods", (*placement).takesPods},
}

// placement looks for a node for a pod.
type placement struct {
	*facts
	affinity nodeaffinity.RequiredNodeAffinity
}

// checkOtherNode keeps a pod from being evicted into nothing. It is no scheduler: room, ports and the like it leaves to that.
func checkOtherNode(f *facts) Refusal {
	if f.terminating() {
		return Refusal{}
	}
	p := &placement{facts: f, affinity: nodeaffinity.GetRequiredNodeAffinity(f.pod)}
	if p.nextToCopy() {
		return Refusal{}
	}
	failed := make([]int, len(requirements))
	for node := range f.others.nodes {
		missing := p.missing(node)
		if missing == len(requirements) {
			return Refusal{}
		}
		failed[missing]++
	}
	var parts []string
	for i, count := range failed {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, requirements[i].failure))
		}
	}
	return refuse(NoOtherNode, "none of the %d other nodes could run the pod: %s", len(f.others.nodes), strings.Join(parts, ", "))
}

// nextToCopy looks at the nodes with copies alone: most often one of them will do, and there may be a thousand others.
func (p *placement) nextToCopy() bool {
	for i := range p.volumes {
		for _, replica := range p.volumes[i].answer.Replicas {
			if node, exists := p.others.index[replica.Node]; exists && p.missing(node) == len(requirements) {
				return true
			}
		}
	}
	return false
}

// missing is the first requirement that the node does not meet, or their number.
func (p *placement) missing(node int) int {
	for i := range requirements {
		if !requirements[i].met(p, node) {
			return i
		}
	}
	return len(requirements)
}

func (p *placement) tolerates(node int) bool {
	spec := &p.others.nodes[node].Spec
	keepsAway := spec.Taints
	if spec.Unschedulable {
		keepsAway = append(keepsAway[:len(keepsAway):len(keepsAway)], corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	if len(keepsAway) == 0 {
		return true
	}
	// The zero logger drops what it gets: a number in a toleration that cannot be parsed is the API server's to tell.
	_, untolerated := taints.FindMatchingUntoleratedTaint(klog.Logger{}, keepsAway, p.pod.Spec.Tolerations, func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}, true)
	return !untolerated
}

func (p *placement) wants(node int) bool {
	matches, err := p.affinity.Match(p.others.nodes[node])
	return err == nil && matches
}

func (p *placement) allowed(node int) bool {
	return p.all(func(v *volume) bool { return v.allows(p.others.nodes[node]) })
}

func (p *placement) copied(node int) bool {
	return p.all(func(v *volume) bool {
		return !v.answer.Pinned || inSync(v.answer.Replicas, p.others.nodes[node].Name)
	})
}

func (p *placement) registered(node int) bool {
	return p.all(func(v *volume) bool { return p.others.of(v.ID.Provisioner, node).registered })
}

func (p *placement) takesPods(node int) bool {
	return p.all(func(v *volume) bool { return p.others.of(v.ID.Provisioner, node).takesPods() })
}

func (p *placement) all(met func(*volume) bool) bool {
	for i := range p.volumes {
		if !met(&p.volumes[i]) {
			return false
		}
	}
	return true
}

func inSync(replicas []drivers.Replica, node string) bool {
	for _, replica := range replicas {
		if replica.Node == node {
			return replica.State == drivers.InSync
		}
	}
	return false
}
