// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"

	"roost.dev/roost/drivers"
)

// others are the nodes besides the failing one, and what their storage offers, all as it was when the judgement began.
type others struct {
	nodes []*corev1.Node // by name
	ready []bool         // of the nodes, in their order
	index map[string]int // of the nodes, by name
	// offers are by provisioner, in the order of the nodes.
	offers map[string][]offer
	// allLocated has the provisioners whose volumes a driver knows all of. It is enough that it reports on one node, the
	// failing one or another: the failing node's report may be missing for the failure.
	allLocated map[string]bool
}

// offer is what a node has of a storage system.
type offer struct {
	// registered says that the CSI driver is on the node.
	registered bool
	// usable is Roost's verdict.
	usable bool
	// state is what the storage system says.
	state drivers.StorageState
}

// otherNodes returns the nodes besides the failing one, without offers.
func (f *Finder) otherNodes(failing string) (*others, error) {
	nodes, err := f.nodes.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	nodes = slices.DeleteFunc(nodes, func(node *corev1.Node) bool { return node.Name == failing })
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	found := &others{nodes: nodes, index: make(map[string]int, len(nodes)), offers: map[string][]offer{}, allLocated: map[string]bool{}}
	for i, node := range nodes {
		found.ready = append(found.ready, isReady(node))
		found.index[node.Name] = i
	}
	return found, nil
}

// offer finds out what the nodes have of the provisioner, once. failing is the node that is none of the others.
func (f *Finder) offer(others *others, provisioner, failing string) {
	if _, done := others.offers[provisioner]; done {
		return
	}
	offers := make([]offer, len(others.nodes))
	allLocated := f.options.Storage.NodeReport(provisioner, failing).LocatesAll
	for i, node := range others.nodes {
		report := f.options.Storage.NodeReport(provisioner, node.Name)
		allLocated = allLocated || report.LocatesAll
		offers[i] = offer{
			registered: onThisMachine(provisioner) || f.registered(provisioner, node.Name),
			usable:     f.options.Usable(provisioner, node.Name),
			state:      report.State,
		}
	}
	others.allLocated[provisioner] = allLocated
	others.offers[provisioner] = offers
}

func (f *Finder) registered(provisioner, node string) bool {
	csiNode, err := f.csiNodes.Get(node)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(csiNode.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == provisioner })
}

// of is what a node has of the provisioner. A volume of no provisioner needs nothing of the node.
func (o *others) of(provisioner string, node int) offer {
	if provisioner == "" {
		return offer{registered: true, usable: true}
	}
	return o.offers[provisioner][node]
}

// takesPods says that pods may do I/O there.
func (o offer) takesPods() bool {
	return o.usable && o.state != drivers.Offline && o.state != drivers.Maintenance
}

// servesCopies says that the copies on the node can be read and written. StorageDown serves pods from other nodes' copies.
func (o offer) servesCopies() bool { return o.takesPods() && o.state != drivers.StorageDown }

// lacks says what keeps the copies on a node from being used, in words that follow "the storage of NODE".
func (o offer) lacks() string {
	if !o.usable {
		return "may not be used at the moment (see its StorageNode)"
	}
	return "is " + o.state.String()
}

func isReady(node *corev1.Node) bool {
	for i := range node.Status.Conditions {
		if condition := &node.Status.Conditions[i]; condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
