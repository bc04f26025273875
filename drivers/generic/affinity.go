// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// nodeName stands for the node's name where a label key is expected. No label has an empty key.
const nodeName = ""

// pin is a label and one value that may name a node.
type pin struct{ key, value string }

// shared are the labels that name places, not nodes, however few nodes a place may have today.
var shared = []string{
	corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
}

// pins lists what may pin a volume with this affinity to nodes.
func pins(affinity *corev1.NodeSelector) []pin {
	if affinity == nil {
		return nil
	}
	var found []pin
	for _, term := range affinity.NodeSelectorTerms {
		for _, requirement := range candidates(term) {
			for _, value := range requirement.Values {
				found = append(found, pin{key: requirement.Key, value: value})
			}
		}
	}
	return found
}

// candidates are the requirements of a term that can name nodes one by one. Their key is nodeName where they are about
// the node's name.
func candidates(term corev1.NodeSelectorTerm) []corev1.NodeSelectorRequirement {
	var found []corev1.NodeSelectorRequirement
	for _, requirement := range term.MatchFields {
		if requirement.Key == metav1.ObjectNameField && requirement.Operator == corev1.NodeSelectorOpIn {
			requirement.Key = nodeName
			found = append(found, requirement)
		}
	}
	for _, requirement := range term.MatchExpressions {
		if requirement.Operator == corev1.NodeSelectorOpIn && !slices.Contains(shared, requirement.Key) {
			found = append(found, requirement)
		}
	}
	return found
}

// pinnedTo lists the nodes that the affinity names one by one, and none where it does not.
func (x *nodeIndex) pinnedTo(affinity *corev1.NodeSelector) []string {
	if affinity == nil {
		return nil
	}
	var nodes []string
	for _, term := range affinity.NodeSelectorTerms {
		if len(term.MatchFields) == 0 && len(term.MatchExpressions) == 0 {
			continue // matches no node
		}
		pinned, ok := x.pinnedByTerm(term)
		if !ok {
			return nil
		}
		nodes = append(nodes, pinned...)
	}
	return nodes
}

// pinnedByTerm is false where no requirement of the term names nodes one by one.
func (x *nodeIndex) pinnedByTerm(term corev1.NodeSelectorTerm) ([]string, bool) {
	for _, requirement := range candidates(term) {
		if nodes, ok := x.only(requirement); ok {
			return x.matching(term, nodes), true
		}
	}
	return nil, false
}

// only returns the nodes that match the requirement. It is false where one of its values is carried by several.
func (x *nodeIndex) only(requirement corev1.NodeSelectorRequirement) ([]string, bool) {
	key := x.keys[requirement.Key]
	var nodes []string
	for _, value := range requirement.Values {
		carriers := key.nodes[value]
		if len(carriers) > 1 {
			return nil, false
		}
		nodes = append(nodes, carriers...)
	}
	return nodes, true
}

// matching returns those of the nodes that match every requirement of the term.
func (x *nodeIndex) matching(term corev1.NodeSelectorTerm, nodes []string) []string {
	if len(term.MatchFields)+len(term.MatchExpressions) == 1 {
		return nodes
	}
	selector := nodeaffinity.NewLazyErrorNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}})
	return slices.DeleteFunc(nodes, func(name string) bool {
		matches, err := selector.Match(x.nodes[name])
		return err != nil || !matches
	})
}
