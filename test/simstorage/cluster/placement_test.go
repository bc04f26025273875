// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

func TestFirstReplica(t *testing.T) {
	fill := func(node string) func(*testing.T, *Cluster) {
		return func(t *testing.T, c *Cluster) {
			r := request("fill", 1)
			r.RequiredBytes, r.Requirement.Requisite = pool, []Segments{hostname(node)}
			mustCreate(t, c, r)
		}
	}
	state := func(node string, state storagev1alpha1.StorageState) func(*testing.T, *Cluster) {
		return func(t *testing.T, c *Cluster) {
			if err := c.SetNodeState(node, state, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		prepare   func(*testing.T, *Cluster)
		preferred []Segments
		want      string
	}{
		"the selected node gets it":                   {preferred: []Segments{hostname("b-2-x"), hostname("a-1-x")}, want: "b-2-x"},
		"a selected node without a pool passes it on": {preferred: []Segments{hostname("client"), hostname("c-1-x")}, want: "c-1-x"},
		"a selected node without room passes it on":   {prepare: fill("b-2-x"), preferred: []Segments{hostname("b-2-x"), hostname("a-1-x")}, want: "a-1-x"},
		"a selected node in maintenance passes it on": {prepare: state("b-2-x", storagev1alpha1.StorageMaintenance), preferred: []Segments{hostname("b-2-x"), hostname("a-1-x")}, want: "a-1-x"},
		"a degraded node still takes it":              {prepare: state("b-2-x", storagev1alpha1.StorageDegraded), preferred: []Segments{hostname("b-2-x"), hostname("a-1-x")}, want: "b-2-x"},
		"a node that is cut off passes it on": {
			prepare: func(t *testing.T, c *Cluster) {
				if err := c.SetCutOff("b-2-x", true); err != nil {
					t.Fatal(err)
				}
			},
			preferred: []Segments{hostname("b-2-x"), hostname("a-1-x")}, want: "a-1-x",
		},
		"all segments of a topology count": {
			preferred: []Segments{{corev1.LabelHostname: "a-1-x", corev1.LabelTopologyZone: "b"}, {corev1.LabelHostname: "a-1-y", corev1.LabelTopologyZone: "a"}},
			want:      "a-1-y",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			if tc.prepare != nil {
				tc.prepare(t, c)
			}
			r := request("v", 3)
			r.Requirement.Preferred = tc.preferred
			if got := nodesOf(mustCreate(t, c, r))[0]; got != tc.want {
				t.Errorf("first replica on %s, want %s", got, tc.want)
			}
		})
	}
}

func TestReplicasSpread(t *testing.T) {
	zonesOf := func(names []string) map[byte]int {
		zones := map[byte]int{}
		for _, name := range names {
			zones[name[0]]++
		}
		return zones
	}
	racksOf := func(names []string) map[string]int {
		racks := map[string]int{}
		for _, name := range names {
			racks[name[:3]]++
		}
		return racks
	}
	c, _ := testCluster(t)
	for i := range 30 {
		three := nodesOf(mustCreate(t, c, request(fmt.Sprint("three-", i), 3)))
		if diff := cmp.Diff(map[byte]int{'a': 1, 'b': 1, 'c': 1}, zonesOf(three)); diff != "" {
			t.Errorf("zones of three replicas %v (-want +got):\n%s", three, diff)
		}
		six := nodesOf(mustCreate(t, c, request(fmt.Sprint("six-", i), 6)))
		if got := len(racksOf(six)); got != 6 {
			t.Errorf("six replicas %v are in %d racks, want 6", six, got)
		}
	}
}

func TestNodesWithoutLabelsShareNoDomain(t *testing.T) {
	c, err := New(Options{PoolCapacity: pool})
	if err != nil {
		t.Fatal(err)
	}
	c.SetNode("first", nodeLabels("first", "1", "a"), true)
	c.SetNode("same-rack", nodeLabels("same-rack", "1", "a"), true)
	c.SetNode("unlabelled", map[string]string{corev1.LabelHostname: "unlabelled"}, true)
	c.SetNode("unlabelled-too", map[string]string{corev1.LabelHostname: "unlabelled-too"}, true)
	r := request("v", 3)
	r.Requirement.Preferred = []Segments{hostname("first")}
	if diff := cmp.Diff([]string{"first", "unlabelled", "unlabelled-too"}, sorted(nodesOf(mustCreate(t, c, r)))); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

func TestMostRoomFirst(t *testing.T) {
	c, _ := testCluster(t)
	for _, n := range c.Nodes() {
		if !n.Storage || n.Name == "b-2-y" {
			continue
		}
		r := request("fill-"+n.Name, 1)
		r.Requirement.Requisite = []Segments{hostname(n.Name)}
		mustCreate(t, c, r)
	}
	for i := range 5 {
		r := request(fmt.Sprint("v-", i), 1)
		r.RequiredBytes = 1
		if diff := cmp.Diff([]string{"b-2-y"}, nodesOf(mustCreate(t, c, r))); diff != "" {
			t.Errorf("nodes (-want +got):\n%s", diff)
		}
	}
}

func TestEqualVolumesSpreadAndRepeat(t *testing.T) {
	counts := map[string]int{}
	for i := range 60 {
		name := fmt.Sprint("pvc-", i)
		first, _ := testCluster(t)
		second, _ := testCluster(t)
		nodes := nodesOf(mustCreate(t, first, request(name, 1)))
		if diff := cmp.Diff(nodes, nodesOf(mustCreate(t, second, request(name, 1)))); diff != "" {
			t.Errorf("%s is placed in two ways (-first +second):\n%s", name, diff)
		}
		counts[nodes[0]]++
	}
	for node, count := range counts {
		if count > 15 {
			t.Errorf("%d of 60 volumes are on %s of 12 equal nodes", count, node)
		}
	}
}

func TestRequisiteConfinesReplicas(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 4)
	r.Requirement.Requisite = []Segments{zone("b")}
	r.Requirement.Preferred = []Segments{hostname("a-1-x")}
	if diff := cmp.Diff([]string{"b-1-x", "b-1-y", "b-2-x", "b-2-y"}, sorted(nodesOf(mustCreate(t, c, r)))); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	r.Name, r.Requirement.Requisite = "by-hostname", []Segments{hostname("a-1-x"), hostname("c-2-x"), hostname("client"), zone("nowhere")}
	r.Class.Replicas = 2
	if diff := cmp.Diff([]string{"a-1-x", "c-2-x"}, sorted(nodesOf(mustCreate(t, c, r)))); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	r.Name, r.Class.Replicas = "too-many", 3
	_, err := c.CreateVolume(r)
	wantError(t, err, Exhausted, "needs 3 storage nodes", "there are 12 storage nodes", "12 of them healthy", "2 of those in the requisite topology", "2 of those with room")
}

func TestExhaustedSaysWhatIsMissing(t *testing.T) {
	c, _ := testCluster(t)
	if err := c.SetNodeState("a-1-x", storagev1alpha1.StorageDown, ""); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateVolume(request("v", 12))
	wantError(t, err, Exhausted, `"v"`, "needs 12 storage nodes", "11 of them healthy")
	r := request("large", 2)
	r.RequiredBytes = pool + 1
	_, err = c.CreateVolume(r)
	wantError(t, err, Exhausted, fmt.Sprint(pool+1, " bytes"), "0 of those with room")
	if got := totalUsed(c); got != 0 {
		t.Errorf("used = %d after refusals, want 0", got)
	}
}

func TestPoolIsNeverOverfull(t *testing.T) {
	c, _ := testCluster(t)
	created := 0
	for i := range 1000 {
		r := request(fmt.Sprint("v-", i), 2)
		r.RequiredBytes = 7 * gib
		if _, err := c.CreateVolume(r); err != nil {
			wantError(t, err, Exhausted)
			break
		}
		created++
	}
	for _, n := range c.Nodes() {
		if n.UsedBytes > n.CapacityBytes {
			t.Errorf("node %s uses %d of %d bytes", n.Name, n.UsedBytes, n.CapacityBytes)
		}
	}
	if want := 12 * 14 / 2; created != want { // 14 volumes of 7 GiB in a pool of 100
		t.Errorf("%d volumes fit, want %d", created, want)
	}
}

func TestCloneStartsBesideItsSource(t *testing.T) {
	for name, tc := range map[string]struct {
		class     Class
		preferred []Segments
		want      func(source, clone []string) bool
	}{
		"the first replica is on a source node, the second where it is wanted": {
			Class{2, AccessAny}, []Segments{hostname("c-2-x"), hostname("a-1-x")},
			func(source, clone []string) bool { return slices.Contains(source, clone[0]) && clone[1] == "c-2-x" },
		},
		"the selected node wins among source nodes, and is not asked for twice": {
			Class{2, AccessAny}, []Segments{hostname("b-1-x"), hostname("b-1-y")},
			func(_, clone []string) bool { return clone[0] == "b-1-x" && clone[1] != "b-1-y" },
		},
		"a zone that the first replica is in already is not asked for twice": {
			Class{2, AccessAny}, []Segments{zone("b")},
			func(_, clone []string) bool { return clone[0] == "b-1-x" && clone[1][0] != 'b' },
		},
		"a single replica that any node can mount stays with the data": {
			Class{1, AccessAny}, []Segments{hostname("c-2-x")},
			func(source, clone []string) bool { return slices.Contains(source, clone[0]) },
		},
		"a single replica that only its node can mount goes where it is wanted": {
			Class{1, AccessReplicas}, []Segments{hostname("c-2-x")},
			func(_, clone []string) bool { return clone[0] == "c-2-x" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			r := request("source", 2)
			r.Requirement.Requisite = []Segments{hostname("a-2-x"), hostname("b-1-x")}
			source := mustCreate(t, c, r)
			clone := request("clone", tc.class.Replicas)
			clone.Class, clone.Requirement.Preferred, clone.Source.VolumeHandle = tc.class, tc.preferred, source.Handle
			if got := nodesOf(mustCreate(t, c, clone)); !tc.want(nodesOf(source), got) {
				t.Errorf("source on %v, clone on %v", nodesOf(source), got)
			}
		})
	}
}

func TestCloneWhenTheSourceNodesAreFull(t *testing.T) {
	c, _ := testCluster(t)
	r := request("source", 1)
	r.RequiredBytes, r.Requirement.Requisite = 60*gib, []Segments{hostname("a-2-x")}
	source := mustCreate(t, c, r)
	clone := request("clone", 1)
	clone.RequiredBytes, clone.Source.VolumeHandle, clone.Requirement.Preferred = 0, source.Handle, []Segments{hostname("a-2-x"), hostname("b-1-y")}
	got := mustCreate(t, c, clone)
	if diff := cmp.Diff([]string{"b-1-y"}, nodesOf(got)); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if got.SizeBytes != source.SizeBytes {
		t.Errorf("a clone without a size has %d bytes, want the source's %d", got.SizeBytes, source.SizeBytes)
	}
	clone.Name, clone.LimitBytes = "small", gib
	_, err := c.CreateVolume(clone)
	wantError(t, err, OutOfRange, "limit_bytes")
}
