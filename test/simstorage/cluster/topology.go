// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// RackLabel is the node label that names a node's rack. Kubernetes has no well-known label for it.
const RackLabel = "topology.kubernetes.io/rack"

// TopologyKeys are the node labels that can be segments of a topology, from the smallest domain to the largest.
func TopologyKeys() []string {
	return []string{corev1.LabelHostname, RackLabel, corev1.LabelTopologyZone, corev1.LabelTopologyRegion}
}

// Segments is one topology: label keys and the values that a node must have.
type Segments map[string]string

// Requirement says where a volume's replicas may be and where they are wanted.
type Requirement struct {
	// Requisite are the topologies that replicas are confined to. Empty does not confine.
	Requisite []Segments
	// Preferred are the topologies for the first replica, best first.
	Preferred []Segments
}

func (r Requirement) validate() error {
	for _, terms := range [][]Segments{r.Requisite, r.Preferred} {
		for _, segments := range terms {
			if err := segments.validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Segments) validate() error {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if !slices.Contains(TopologyKeys(), key) {
			return errorf(Invalid, "topology segment %s: unknown key (value %q): allowed are %s", key, s[key], strings.Join(TopologyKeys(), ", "))
		}
	}
	return nil
}

// matches tells whether a node has all segments. A node without a label does not match any value of it.
func (s Segments) matches(n *node) bool {
	for key, value := range s {
		if got, ok := n.labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// anyOf returns a function that tells whether a node matches one of the topologies. external-provisioner sends one for
// every node of the cluster, so those with a hostname are looked up by it.
func anyOf(topologies []Segments) func(*node) bool {
	byHostname := map[string][]Segments{}
	var others []Segments
	for _, s := range topologies {
		if hostname, ok := s[corev1.LabelHostname]; ok {
			byHostname[hostname] = append(byHostname[hostname], s)
		} else {
			others = append(others, s)
		}
	}
	return func(n *node) bool {
		matches := func(s Segments) bool { return s.matches(n) }
		return slices.ContainsFunc(byHostname[n.labels[corev1.LabelHostname]], matches) || slices.ContainsFunc(others, matches)
	}
}
