// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/drivers"
)

// n1 and n3 share a rack, as do n2 and n4; all four share a zone; n5 shares nothing.
var storkRacks = []Node{
	node("n1", "rack1", "zone1", "region1"), node("n2", "rack2", "zone1", "region1"),
	node("n3", "rack1", "zone1", "region1"), node("n4", "rack2", "zone1", "region1"),
	node("n5", "rack5", "zone5", "region5"),
}

// Racks all differ; n1, n2 and n4 share a zone.
var storkZones = []Node{
	node("n1", "rack1", "zone1", "region1"), node("n2", "rack2", "zone1", "region1"),
	node("n3", "rack3", "zone3", "region3"), node("n4", "rack4", "zone1", "region1"),
	node("n5", "rack5", "zone5", "region5"),
}

// Zones differ too, but for n1 and n2; n3 shares a region with them.
var storkRegions = []Node{
	node("n1", "rack1", "zone1", "region1"), node("n2", "rack2", "zone1", "region1"),
	node("n3", "rack3", "zone3", "region1"), node("n4", "rack4", "zone4", "region4"),
	node("n5", "rack5", "zone5", "region5"),
}

// down is a cluster's states where one node is not Online.
func down(node string, state drivers.StorageState) map[string]drivers.StorageState {
	return map[string]drivers.StorageState{node: state}
}

// storkSix are six nodes that share nothing, and storkDisk a virtual machine's disk on three of them, attached to the first.
var (
	storkSix = []Node{
		node("n1", "rack1", "zone1", "region1"), node("n2", "rack2", "zone2", "region2"), node("n3", "rack3", "zone3", "region3"),
		node("n4", "rack4", "zone4", "region4"), node("n5", "rack5", "zone5", "region5"), node("n6", "rack6", "zone6", "region6"),
	}
	storkDisk = volume("disk", "n1", "n2", "n3").attached("n1")
)

// leaving is the volume for the target of a live migration.
func (v Volume) leaving(node string) Volume {
	left, _ := v.Leaving(node)
	return left
}

// storkTwo are two volumes that share n2.
var storkTwo = []Volume{volume("v", "n1", "n2"), volume("w", "n2", "n3")}

// storkCases list the nodes best first, equals together. Where we differ on purpose, differs says why.
var storkCases = map[string]struct {
	nodes   []Node
	states  map[string]drivers.StorageState
	volumes []Volume
	want    [][]string
	differs string
}{
	"singleVolumeTest": {
		nodes: storkRacks, volumes: []Volume{volume("v", "n1", "n2")},
		want: [][]string{{"n1", "n2"}, {"n3", "n4"}, {"n5"}},
	},
	"multipleVolumeTest": {
		nodes: storkRacks, volumes: []Volume{volume("v", "n1", "n2"), volume("w", "n2", "n5")},
		want: [][]string{{"n2"}, {"n1"}, {"n4", "n5"}, {"n3"}},
	},
	"multipleVolumeSkipTest": {
		nodes: storkRacks, volumes: []Volume{volume("v", "n1", "n2"), volume("w", "n5").with(Ignored)},
		want: [][]string{{"n1", "n2"}, {"n3", "n4"}, {"n5"}},
	},
	"multipleVolumeStorageDownTest": {
		nodes: storkRacks, states: down("n3", drivers.StorageDown), volumes: []Volume{volume("v", "n1"), volume("w", "n1", "n3")},
		want: [][]string{{"n1"}, {"n2", "n4"}, {"n3", "n5"}},
		differs: "there StorageDown takes a replica to a quarter and keeps the zone mate at a quarter as well; here the " +
			"node loses as much as a replica would, so that healthy zone mates come first",
	},
	"driverNodeErrorStateTest": {
		nodes: storkRacks, states: down("n2", drivers.Offline), volumes: []Volume{volume("v", "n1", "n2")},
		want:    [][]string{{"n1"}, {"n3"}, {"n4"}, {"n5"}, {"n2"}},
		differs: "there a node whose storage is offline ranks with those that have nothing; here it is not feasible",
	},
	"zoneTest": {
		nodes: storkZones, volumes: storkTwo,
		want: [][]string{{"n2"}, {"n1"}, {"n3"}, {"n4"}, {"n5"}},
	},
	"zoneStorageDownNodeTest": {
		nodes: storkZones, states: down("n1", drivers.StorageDown), volumes: storkTwo,
		want: [][]string{{"n2"}, {"n3"}, {"n4"}, {"n5"}, {"n1"}},
		differs: "there StorageDown spares the share of the zone mate (37 of 50); here n1, which has one of two volumes and " +
			"serves none of it, ranks after the healthy nodes, also those that have nothing",
	},
	"regionTest": {
		nodes: storkRegions, volumes: storkTwo,
		want: [][]string{{"n2"}, {"n1"}, {"n3"}, {"n4", "n5"}},
	},
	"regionStorageDownNodeTest": {
		nodes: storkRegions, states: down("n3", drivers.StorageDown), volumes: storkTwo,
		want:    [][]string{{"n2"}, {"n1"}, {"n4", "n5"}, {"n3"}},
		differs: "there n3 is worth a quarter of its one volume of two; here, where it serves none of it, it comes last",
	},
	"antiHyperConvergenceTest": {
		nodes:   append(slices.Clone(storkRacks[4:]), node("n6", "rack6", "zone6", "region6"), node("n1", "rack1", "zone1", "region1")),
		volumes: []Volume{volume("v", "n1").with(Avoid)},
		want:    [][]string{{"n5", "n6"}, {"n1"}},
	},
	"offlineNodesAntiHyperConvergenceTest": {
		nodes: storkRacks, states: down("n5", drivers.Offline), volumes: []Volume{volume("v", "n1", "n2").with(Avoid)},
		want:    [][]string{{"n3", "n4"}, {"n1", "n2"}, {"n5"}},
		differs: "there a node whose storage is offline ranks with those that have the data; here it is not feasible",
	},
	"multiVolumeAntiHyperConvergenceTest": {
		nodes: storkRacks, volumes: []Volume{volume("v", "n1"), volume("w", "n5").with(Avoid)},
		want: [][]string{{"n1"}, {"n3"}, {"n2", "n4"}, {"n5"}},
	},
	"preferRemoteNodeFalseAntiHyperConvergenceFilterTest": {
		nodes: storkRacks, volumes: []Volume{volume("v", "n1", "n2")},
		want: [][]string{{"n1", "n2"}, {"n3", "n4"}, {"n5"}},
	},
	"kubevirtPodScheduling": {
		nodes: storkSix, volumes: []Volume{storkDisk},
		want: [][]string{{"n1"}, {"n2", "n3"}, {"n4", "n5", "n6"}},
	},
	"kubevirtPodScheduling, live migration back to the node of the attachment": {
		nodes: storkSix, volumes: []Volume{storkDisk.leaving("n2")},
		want: [][]string{{"n1"}, {"n3"}, {"n2", "n4", "n5", "n6"}},
		differs: "there the nodes without a replica come before the other nodes with one; here any data node but the one that is " +
			"left comes first",
	},
	"kubevirtPodScheduling, live migration off the node of the attachment": {
		nodes: storkSix, volumes: []Volume{storkDisk.leaving("n1")},
		want:    [][]string{{"n2", "n3"}, {"n1", "n4", "n5", "n6"}},
		differs: "there the node that is left comes first, for the volume is attached to it, and then those without a replica",
	},
	"kubevirtPodSchedulingAttachedOnMismatch": {
		nodes: storkSix, volumes: []Volume{storkDisk.attached("elsewhere")},
		want: [][]string{{"n1", "n2", "n3"}, {"n4", "n5", "n6"}},
	},
	"kubevirtPodScheduling, several disks": {
		nodes: storkSix, volumes: []Volume{storkDisk.leaving("n1"), volume("hotplugged", "n1", "n3", "n4").leaving("n1")},
		want:    [][]string{{"n3"}, {"n2", "n4"}, {"n1", "n5", "n6"}},
		differs: "there only the root disk counts; here all disks do",
	},
	"invalidNodePrioritizeTest": {
		nodes: append(slices.Clone(storkRacks[:1]), Node{Name: "unknown"}), volumes: []Volume{volume("v", "n1")},
		want: [][]string{{"n1"}, {"unknown"}},
	},
}

// storageHealth is what a node has from the plugin StorageHealth, which the shipped profile gives the same weight: all its
// points, a quarter where its storage is down. Where it is offline the node is not feasible, and comes last here.
func storageHealth(state drivers.StorageState) int64 {
	switch state {
	case drivers.Offline:
		return -1000
	case drivers.StorageDown:
		return 25
	default:
		return 100
	}
}

// TestRanksAsStork ranks nodes in the cases that STORK's unit tests pin with exact scores. The numbers are not the same,
// the order is.
func TestRanksAsStork(t *testing.T) {
	for name, tc := range storkCases {
		t.Run(name, func(t *testing.T) {
			c := testCluster{nodes: tc.nodes, states: tc.states}
			worth := scores(NewPlan(tc.volumes, testTiers, c), c)
			for i, n := range tc.nodes {
				worth[i] += storageHealth(tc.states[n.Name])
			}
			got := ranked(c, worth)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ranking (-want +got), differs %q:\n%s", tc.differs, diff)
			}
		})
	}
}

// ranked groups the nodes by score, best first.
func ranked(c testCluster, scores []int64) [][]string {
	byScore := map[int64][]string{}
	for i, n := range c.nodes {
		byScore[scores[i]] = append(byScore[scores[i]], n.Name)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(scores)))
	var groups [][]string
	for _, score := range slices.Backward(distinct) {
		slices.Sort(byScore[score])
		groups = append(groups, byScore[score])
	}
	return groups
}
