// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/internal/sandbox"
)

// Place is where a pod runs, seen from its data. Lower is nearer.
type Place int

const (
	// OnData is a node with an in-sync replica of every volume of the pod.
	OnData Place = iota
	// SameRack is another node of a rack with a replica.
	SameRack
	// SameZone is another rack of a zone with a replica.
	SameZone
	// Elsewhere is everything else.
	Elsewhere
	places
)

// Tally counts pods by place.
type Tally [places]int

// Total is how many pods were counted.
func (t Tally) Total() int {
	total := 0
	for _, count := range t {
		total += count
	}
	return total
}

// topology is a node's rack and zone.
type topology struct{ rack, zone string }

func topologyOf(node *corev1.Node) topology {
	return topology{rack: node.Labels[sandbox.LabelRack], zone: node.Labels[corev1.LabelTopologyZone]}
}

// placeOf classifies a node against the nodes of a volume's replicas. A label that is missing matches nothing.
func placeOf(node string, replicas []string, nodes map[string]topology) Place {
	place, here := Elsewhere, nodes[node]
	for _, replica := range replicas {
		there := nodes[replica]
		switch {
		case replica == node:
			return OnData
		case here.rack != "" && here.rack == there.rack:
			place = min(place, SameRack)
		case here.zone != "" && here.zone == there.zone:
			place = min(place, SameZone)
		}
	}
	return place
}

// comparison is the table of where the pods are.
func comparison(rows ...namedTally) [][]string {
	table := [][]string{{"pods are", "on a data node", "in its rack", "in its zone", "elsewhere"}}
	for _, row := range rows {
		cells := []string{row.name}
		for _, count := range row.tally {
			cells = append(cells, strconv.Itoa(count))
		}
		table = append(table, cells)
	}
	return table
}

type namedTally struct {
	name  string
	tally Tally
}
