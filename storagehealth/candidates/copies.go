// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"fmt"
	"strings"

	"roost.dev/roost/drivers"
)

// checkCopies refuses a pod with a volume whose data is nowhere else.
func checkCopies(f *facts) Refusal {
	for i := range f.volumes {
		if refusal := f.elsewhere(&f.volumes[i]); refusal.Reason != "" {
			return refusal
		}
	}
	return Refusal{}
}

func (f *facts) elsewhere(v *volume) Refusal {
	switch v.answer.Knowledge {
	case drivers.TooOld:
		return refuse(LocationUnknown, "where volume %s has copies is not known: driver %s has not synced, or has not heard from its storage system for too long",
			v.ClaimName, v.answer.Driver)
	case drivers.Known:
		return f.copied(v)
	case drivers.NotKnown:
		if f.others.allLocated[v.ID.Provisioner] {
			return refuse(LocationUnknown, "where volume %s has copies is not known: the driver that reports on %s knows all its volumes, but not this one",
				v.ClaimName, v.ID.Provisioner)
		}
	}
	return f.reachable(v)
}

// copied wants a copy on another node that can be read and written now.
func (f *facts) copied(v *volume) Refusal {
	reason := OnlyCopy
	if v.answer.Pinned && v.ID.Provisioner != f.provisioner {
		reason = PinnedVolume
	}
	if len(v.answer.Replicas) == 0 {
		return refuse(reason, "volume %s has no copy on any node, driver %s says; repair it in its storage system", v.ClaimName, v.answer.Driver)
	}
	var problems problems
	for _, replica := range v.answer.Replicas {
		if replica.Node == f.node {
			continue
		}
		problem := f.others.problem(v.ID.Provisioner, replica)
		if problem == "" {
			return Refusal{}
		}
		problems.add("%s", problem)
	}
	if problems.count == 0 {
		return refuse(reason, "volume %s has its only copy on %s; it comes back with the node", v.ClaimName, f.node)
	}
	return refuse(reason, "volume %s has no copy outside %s that can be used: %s", v.ClaimName, f.node, &problems)
}

// problem says why a copy cannot be used, or nothing.
func (o *others) problem(provisioner string, replica drivers.Replica) string {
	i, exists := o.index[replica.Node]
	switch {
	case replica.State != drivers.InSync:
		return fmt.Sprintf("the one on %s is %s", replica.Node, replica.State)
	case !exists:
		return fmt.Sprintf("node %s does not exist", replica.Node)
	case !o.ready[i]:
		return fmt.Sprintf("node %s is not Ready", replica.Node)
	case !o.of(provisioner, i).servesCopies():
		return fmt.Sprintf("the storage of %s %s", replica.Node, o.of(provisioner, i).lacks())
	default:
		return ""
	}
}

// reachable is for a volume that no driver locates, in the network: another node that works must be allowed to use it.
func (f *facts) reachable(v *volume) Refusal {
	reason := OnlyCopy
	if v.ID.Provisioner != f.provisioner {
		reason = PinnedVolume
	}
	if onThisMachine(v.ID.Provisioner) {
		return refuse(reason, "volume %s is a disk or directory of %s; it comes back with the node", v.ClaimName, f.node)
	}
	var problems problems
	for i, node := range f.others.nodes {
		if !v.allows(node) {
			continue
		}
		switch offer := f.others.of(v.ID.Provisioner, i); {
		case !f.others.ready[i]:
			problems.add("node %s is not Ready", node.Name)
		case !offer.takesPods():
			problems.add("the storage of %s %s", node.Name, offer.lacks())
		default:
			return Refusal{}
		}
	}
	if len(f.others.nodes) == 0 {
		return refuse(reason, "volume %s can be used on no other node: the cluster has none", v.ClaimName)
	}
	if problems.count == 0 {
		return refuse(reason, "no node but %s may use volume %s (node affinity of PersistentVolume %s); it comes back with the node",
			f.node, v.ClaimName, v.PV.Name)
	}
	return refuse(reason, "no node but %s can use volume %s: %s", f.node, v.ClaimName, &problems)
}

// problems names the first three, and counts those besides: a message has no room for a thousand nodes.
type problems struct {
	named []string
	count int
}

func (p *problems) add(format string, args ...any) {
	if p.count++; p.count <= 3 {
		p.named = append(p.named, fmt.Sprintf(format, args...))
	}
}

// String is for a person.
func (p *problems) String() string {
	named := strings.Join(p.named, ", ")
	if more := p.count - len(p.named); more > 0 {
		return fmt.Sprintf("%s, and %d more", named, more)
	}
	return named
}
