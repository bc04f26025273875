// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/drivers"
)

var placementTests = map[string]struct {
	volume Volume
	states map[string]drivers.StorageState
	node   string
	want   Placement
}{
	"an in-sync replica": {
		volume: volume("v", "n1", "n2"), node: "n1",
		want: Placement{Locality: Local, Holds: true, Serving: []string{"n1", "n2"}},
	},
	"an in-sync replica that is attached elsewhere is as local": {
		volume: volume("v", "n1", "n2").attached("n2"), node: "n1",
		want: Placement{Locality: Local, Holds: true, Serving: []string{"n1", "n2"}},
	},
	"a rack mate": {
		volume: volume("v", "n1", "n5"), node: "n3",
		want: Placement{Locality: Near, Tier: "rack", Serving: []string{"n1", "n5"}},
	},
	"a zone mate": {
		volume: volume("v", "n1"), node: "n4",
		want: Placement{Locality: Near, Tier: "zone", Serving: []string{"n1"}},
	},
	"a rack mate of one and a zone mate of another is a rack mate": {
		volume: volume("v", "n1", "n2"), node: "n4",
		want: Placement{Locality: Near, Tier: "rack", Serving: []string{"n1", "n2"}},
	},
	"a node that shares nothing": {
		volume: volume("v", "n1"), node: "n5",
		want: Placement{Locality: Remote, Serving: []string{"n1"}},
	},
	"a replica that is being rebuilt is not local": {
		volume: volume("v", "n1").and("n5", drivers.Rebuilding), node: "n5",
		want: Placement{Locality: Remote, Serving: []string{"n1"}},
	},
	"a replica whose storage is down serves nobody, and nothing is near to it": {
		volume: volume("v", "n1", "n5"), states: down("n1", drivers.StorageDown), node: "n3",
		want: Placement{Locality: Remote, Serving: []string{"n5"}, NotServing: []NodeState{{Node: "n1", State: drivers.StorageDown}}},
	},
	"the node's own replica does not serve": {
		volume: volume("v", "n1", "n2"), states: down("n1", drivers.Maintenance), node: "n1",
		want: Placement{
			Locality: Near, Holds: true, Tier: "zone", Serving: []string{"n2"}, NotServing: []NodeState{{Node: "n1", State: drivers.Maintenance}},
		},
	},
	"replicas on nodes that were deleted": {
		volume: volume("v", "gone", "n1", "away"), node: "n5",
		want: Placement{Locality: Remote, Serving: []string{"n1"}, Missing: []string{"gone", "away"}},
	},
	"the pod's node was deleted meanwhile": {
		volume: volume("v", "n1"), node: "gone",
		want: Placement{Locality: Remote, Serving: []string{"n1"}},
	},
	"no replica is in sync": {
		volume: volume("v").and("n1", drivers.Stale), node: "n1", want: Placement{Locality: Remote},
	},
	"nobody knows where the volume is": {
		volume: Volume{Policy: Preferred, Share: 1}, node: "n1", want: Placement{Locality: NotKnown},
	},
}

func TestPlacementOf(t *testing.T) {
	for name, tc := range placementTests {
		t.Run(name, func(t *testing.T) {
			got := PlacementOf(tc.volume, testTiers, testCluster{nodes: storkRacks, states: tc.states}, tc.node)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("placement (-want +got):\n%s", diff)
			}
		})
	}
}
